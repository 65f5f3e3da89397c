"""Where a Provider's requests go: its document and the data of its Secret, checked, as one value.

Spec: Flux's docs/spec/v1beta3/providers.md. No message here holds an address or a credential: often the address
itself is the secret.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from penstock.core.errors import Terminal
from penstock.core.flux.provider import Provider, unserved

_LONGEST_ADDRESS = 2048
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OF_THE_CONNECTION = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that, as in Go's client, the connection sets and nobody else."""

_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """``address``: http(s) URL without userinfo, which ``login`` has as an Authorization header.

    ``headers``: of the Secret's ``headers``, lower-case names; ``token``: as the Secret has it.
    """

    address: str = field(repr=False)
    channel: str = ""
    username: str = ""
    token: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def bearer(self) -> str:
        """The token as text for a header: line ends of a Secret made from a file are no part of it."""
        return self.token.decode("latin-1").strip()


def target(provider: Provider, data: Mapping[str, bytes]) -> Target:
    """``data``: of the Provider's Secret, ``{}`` where it names none.

    Raises Terminal: ``UnsupportedType``, ``UnsupportedField``, or ``InvalidConfig`` naming field or key.
    """
    for reason, sentence in unserved(provider):
        raise Terminal(sentence, reason=reason)
    if "proxy" in data:
        raise Terminal("key proxy of the Provider's Secret is not served yet", reason="UnsupportedField")
    address, login = _address(provider, data)
    username = _text(data, "username") if "password" in data else ""
    token = data.get("token", b"")
    if not _HEADER_VALUE.fullmatch(token.decode("latin-1").strip()):
        raise _invalid("key token of the Provider's Secret has a character that no HTTP header can have")
    return Target(
        address=address,
        channel=provider.channel,
        username=username or provider.username,
        token=token,
        headers=_headers(data.get("headers", b"")),
        login=login,
    )


def _address(provider: Provider, data: Mapping[str, bytes]) -> tuple[str, dict[str, str]]:
    where = "key address of the Provider's Secret" if "address" in data else "spec.address"
    text = _text(data, "address").strip() if "address" in data else provider.address
    if not text:
        raise _invalid(f"{where} is empty: the URL to notify is needed")
    if len(text) > _LONGEST_ADDRESS:
        raise _invalid(f"{where} is longer than {_LONGEST_ADDRESS} characters")
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        # no `from`, no quote: the library's error would hold the address
        raise _invalid(f"{where} is no http or https URL") from None
    return _without_userinfo(url)


def _without_userinfo(url: SplitResult) -> tuple[str, dict[str, str]]:
    userinfo, at, host = url.netloc.rpartition("@")
    plain = urlunsplit((url.scheme, host, url.path, url.query, ""))
    if not at:
        return plain, {}
    encoded = base64.b64encode(unquote(userinfo).encode()).decode()
    return plain, {"authorization": f"Basic {encoded}"}


def _headers(text: bytes) -> dict[str, str]:
    if not text.strip():
        return {}
    import yaml  # noqa: PLC0415 - only Secrets with `headers` need it: cold starts stay short

    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        # no `from`: the parser's error would quote the Secret
        raise _invalid("key headers of the Provider's Secret is no YAML mapping of strings to strings") from None
    for name, content in value.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(content):
            raise _invalid("key headers of the Provider's Secret has a name or value that no HTTP header can have")
    return {name.lower(): content for name, content in value.items() if name.lower() not in _OF_THE_CONNECTION}


def _text(data: Mapping[str, bytes], key: str) -> str:
    try:
        return data.get(key, b"").decode()
    except UnicodeDecodeError:
        raise _invalid(f"key {key} of the Provider's Secret is no UTF-8 text") from None


def _invalid(message: str) -> Terminal:
    return Terminal(message, reason="InvalidConfig")
