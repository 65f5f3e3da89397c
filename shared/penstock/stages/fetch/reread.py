"""A login that is refused may have been replaced: then the one that is in the store now is tried, in the same look.

Stores answer from a cache for a while (a minute, in the clouds). Without this, a login that is revoked as soon as the
new one is in the store would fail until then.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from penstock.ports.secrets import SecretData, Secrets
from penstock.stages.fetch.visit import Found, Visit

_DENIED = "AuthenticationFailed"


class Noted:
    """A store of secrets, and what was read of it."""

    def __init__(self, base: Secrets) -> None:
        self._base = base
        self._read: dict[str, Mapping[str, bytes] | None] = {}

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:
        """The base's."""
        self._read[name] = self._base.get(name, newest=newest)
        return self._read[name]

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """The base's."""
        return self._base.put(name, data, owner=owner)

    def delete(self, name: str, *, owner: str) -> None:
        """The base's."""
        self._base.delete(name, owner=owner)

    def names(self) -> tuple[str, ...]:
        """The base's."""
        return self._base.names()

    def outdated(self) -> bool:
        """Whether anything that was read is another now, by the store itself. Raises what the store raises."""
        return any([self._base.get(name, newest=True) != data for name, data in self._read.items()])  # noqa: C419 - all are read anew


def looked(visit: Visit, look: Callable[[Visit], Found]) -> Found:
    """What a look finds; what a second one does, where the first one's login was refused and is another now."""
    noted = Noted(visit.deps.secrets)
    found = look(replace(visit, deps=replace(visit.deps, secrets=noted)))
    refused = found.outcome.status.error == _DENIED
    return look(visit) if refused and noted.outdated() else found
