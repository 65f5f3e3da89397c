"""Values as Terraform's plugin protocol sends them: msgpack, where an extension stands for what is not known yet.

Sets, lists and tuples come as lists, maps and objects as dicts. After the plugin protocol's page on wire formats.
"""

import msgpack


class Unknown:
    """A value that is known after apply; there is one."""

    def __repr__(self):
        return "(known after apply)"


UNKNOWN = Unknown()


def decoded(data):
    """The value of a message's bytes."""
    return msgpack.unpackb(data, ext_hook=lambda _code, _data: UNKNOWN, strict_map_key=False)


def encoded(value):
    """The bytes of a value."""
    return msgpack.packb(value, default=_unknown)


def _unknown(value):
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    raise TypeError(f"no value of Terraform: {type(value).__name__}")


def is_known(value):
    """Whether all of it is."""
    if isinstance(value, dict):
        return all(is_known(each) for each in value.values())
    if isinstance(value, list):
        return all(is_known(each) for each in value)
    return value is not UNKNOWN
