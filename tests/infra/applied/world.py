"""What stands behind a provider of the tests: by type, something real, or nothing but the state.

A Kind makes, reads, changes and deletes one type's resources. It must use every argument that it is given, or say that
it keeps it in the state alone: what is forgotten is an error, not a resource that looks as if it were right.
"""

import json


class Given(dict):
    """A resource's planned values, which remembers what was looked at."""

    def __init__(self, values):
        super().__init__(values)
        self.seen = set()

    def __getitem__(self, name):
        self.seen.add(name)
        return super().__getitem__(name)

    def first(self, name):
        """The block of which there is one at most; {} where there is none."""
        return (self[name] or [{}])[0]


class Kind:
    """One type, in the state alone; those with something behind them override all four methods.

    ``replaced``: arguments whose change makes a new resource, as the published provider's documentation says.
    ``kept``: arguments that nothing behind it takes: they are in the state alone.
    """

    replaced: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    real = True

    def __init__(self, place):
        self.place = place

    def put(self, given, before):
        """Makes or changes it; what is computed. ``before``: its state, None for what is new."""
        raise NotImplementedError

    def live(self, state):
        """What it is now, attribute by attribute, as far as that can be read; None: it is gone."""
        raise NotImplementedError

    def delete(self, state):
        raise NotImplementedError


class Kept(Kind):
    """In the state alone. ``made``: what is computed, of the planned values and the place."""

    real = False

    @classmethod
    def of(cls, *replaced, **made):
        """A kind with these computed attributes: functions of planned values and place."""
        return type("Kept", (cls,), {"replaced": replaced, "made": made})

    def put(self, given, before):
        given.seen.update(given)
        return {name: of(given, self.place) for name, of in self.made.items()}

    def live(self, state):
        return {}

    def delete(self, state):
        """Nothing to do."""


class World:
    """``kinds``: by type of resource; ``data``: by type of data source, a function of its arguments and the place.

    ``place``: what an instance of the provider is configured for; ``common``: what kinds of this cloud compute alike.
    """

    def __init__(self, kinds, data, place, common):
        self._kinds, self._data, self._place, self._common = kinds, data, place, common

    def configured(self, config):
        """The world of an instance with this configuration."""
        return World(self._kinds, self._data, self._place(config), self._common)

    def replaced_by(self, name):
        return self._kinds[name].replaced

    def put(self, name, planned, before, arguments):
        kind = self._kinds[name](self._place)
        given = Given(planned)
        common = self._common(given, self._place)
        made = {**common, **kind.put(given, before)}
        changed = {name for name in arguments if before is None or planned[name] != before[name]}
        forgotten = changed - given.seen - set(kind.kept) - set(common) - {"id", "timeouts"}
        assert not forgotten, f"{name}: {sorted(forgotten)} came to nothing"
        return made

    def read(self, name, state):
        live = self._kinds[name](self._place).live(state)
        if live is None:
            return None
        return {**state, **{key: value for key, value in live.items() if not _same(state[key], value)}}

    def delete(self, name, state):
        self._kinds[name](self._place).delete(state)

    def data(self, name, config):
        return self._data[name](config, self._place)


def _same(one, other):
    """Whether they say the same: JSON may be written in another order."""
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str) and one[:1] in "{[" and other[:1] in "{[":
        return json.loads(one) == json.loads(other)
    return False
