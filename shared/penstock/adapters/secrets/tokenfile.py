"""One token that stands in a file of its own, in front of another adapter: who changes the file rotates the token.

The first line is the token. A second one is the token before, which is taken too for as long as it stands there: so
an operator gives everybody the new one first, and then takes the old one out (core/secrets/rotation.py).
"""

import os
from pathlib import Path

from penstock.core.errors import Refused
from penstock.core.secrets.rotation import PREVIOUS, TOKEN
from penstock.ports.secrets import SecretData, Secrets

_LONGEST = 8192


class TokenFileSecrets:
    """Secret ``name`` is what ``path`` says now; all others are ``base``'s.

    The file is looked at whenever it is asked for. While it is missing, empty or cannot be read (somebody is writing
    it), the token is what it said last.
    """

    def __init__(self, path: Path, name: str, base: Secrets) -> None:
        self._path, self._name, self._base = path, name, base
        self._read: tuple[tuple[int, ...], SecretData] = ((), {})

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:
        """The file's value, else the base's."""
        if name != self._name:
            return self._base.get(name, newest=newest)
        return dict(self._current(newest=newest)) or None

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store in the base. Raises Refused for another value than the file gives."""
        if name == self._name:
            if self._current(newest=False) == dict(data):
                return False
            raise Refused(f"secret {name} stands in {self._path}: it stays as it is")
        return self._base.put(name, data, owner=owner)

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy from the base."""
        if name != self._name:
            self._base.delete(name, owner=owner)

    def names(self) -> tuple[str, ...]:
        """Both, sorted."""
        own = {self._name} if self._current(newest=False) else set()
        return tuple(sorted({*own, *self._base.names()}))

    def _current(self, *, newest: bool) -> SecretData:
        version, data = self._read
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                found = (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
                if found != version or newest:
                    data = _lines(file.read(_LONGEST)) or data
                    self._read = (found, data)
        except OSError:
            return data
        return data


def _lines(text: bytes) -> SecretData:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return dict(zip((TOKEN, PREVIOUS), lines, strict=False))
