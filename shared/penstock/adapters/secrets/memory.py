"""Secrets in memory only: the embedded plane never writes a credential to disk."""

import threading
from collections.abc import Mapping

from penstock.core.errors import Refused
from penstock.ports.secrets import SecretData


class MemorySecrets:
    """``operator``: secrets that are not the plane's own copies (an operator put them there)."""

    def __init__(self, operator: Mapping[str, SecretData] | None = None) -> None:
        self._values = {name: ("", dict(data)) for name, data in (operator or {}).items()}
        self._lock = threading.Lock()

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:  # noqa: ARG002 - it always is
        """The value or None."""
        with self._lock:
            found = self._values.get(name)
            return dict(found[1]) if found else None

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store a copy of our own."""
        with self._lock:
            found = self._values.get(name)
            if found is not None and found[1] == dict(data):
                return False
            if found is not None and found[0] != owner:
                raise Refused(f"secret {name} exists and is not a copy made by plane {owner}: it stays as it is")
            self._values[name] = (owner, dict(data))
            return True

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy."""
        with self._lock:
            if name in self._values and self._values[name][0] == owner:
                del self._values[name]

    def names(self) -> tuple[str, ...]:
        """All, sorted."""
        with self._lock:
            return tuple(sorted(self._values))
