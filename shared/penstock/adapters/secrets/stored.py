"""What stores of secrets in the clouds have in common: how a value is written, whose it is, and a cache that forgets.

A value is a JSON object as the data of a Kubernetes Secret is written: ``{"data": {"token": "<base64>"}}``;
``stringData`` (plain text) is read too, for those that an operator makes by hand.
"""

import base64
import json
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import Refused, Terminal
from penstock.ports.clock import Clock
from penstock.ports.secrets import SecretData

CACHE_SECONDS = 60.0
"""A rotated secret is seen by every warm function after at most this; until then the old value is still taken."""
NEWEST_SECONDS = 5.0
"""What was read within these is new enough for who asks for the newest: strangers cannot make us ask all the time."""
MOST_CACHED = 1_024
"""Values that are kept; who was read longest ago goes first."""
MAX_BYTES = 65_536
"""The limit of Secrets Manager and of Secret Manager for one value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    at: float
    data: SecretData = field(repr=False)


class CachedSecrets(ABC):
    """See ports.secrets.Secrets. A subclass gives the calls to its store, ``names``, and its limit for a value."""

    max_bytes = MAX_BYTES

    def __init__(self, clock: Clock, cache_seconds: float) -> None:
        self._clock, self._cache_seconds = clock, cache_seconds
        self._cache: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def _read(self, name: str) -> str | None:
        """The newest value's text; None where there is none."""

    @abstractmethod
    def _owner(self, name: str) -> str | None:
        """The owner mark, "" where there is none, None where there is no secret."""

    @abstractmethod
    def _create(self, name: str, text: str, owner: str) -> None:
        """A new secret with our mark. Raises Transient where somebody else was faster."""

    @abstractmethod
    def _replace(self, name: str, text: str) -> None:
        """A newer value of our own copy."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Our own copy, at once; no error where somebody else was faster."""

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:
        """The value, at most ``cache_seconds`` old; None where there is none (that is not remembered)."""
        seen = self._seen(name, NEWEST_SECONDS if newest else self._cache_seconds)
        if seen is not None:
            return dict(seen.data)
        data = self._fetch(name)
        self._remember(name, data)
        return None if data is None else dict(data)

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store a copy of our own. An equal value costs one read, and within the cache's time no call.

        Whose that is does not matter, and need not be asked: Google answers that 600 times a minute, and reads 90,000.
        """
        seen = self._seen(name, self._cache_seconds)
        if seen is not None and seen.data == dict(data):
            return False
        text = self._text(name, data)
        there = self._fetch(name)
        if there != dict(data):
            self._write(name, text, owner)
        self._remember(name, data)
        return there != dict(data)

    def _write(self, name: str, text: str, owner: str) -> None:
        found = self._owner(name)
        if found is None:
            self._create(name, text, owner)
        elif found != owner:
            raise Refused(f"secret {name} exists and is not a copy made by plane {owner}: it stays as it is")
        else:
            self._replace(name, text)

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy, at once: it can be made again at any time."""
        if self._owner(name) == owner:
            self._remove(name)
        self._remember(name, None)

    def _fetch(self, name: str) -> SecretData | None:
        text = self._read(name)
        return None if text is None else from_text(name, text)

    def _seen(self, name: str, seconds: float) -> _Seen | None:
        with self._lock:
            seen = self._cache.get(name)
        return seen if seen is not None and self._clock.monotonic() - seen.at < seconds else None

    def _remember(self, name: str, data: SecretData | None) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._cache.pop(name, None)
            if data is not None:
                self._cache[name] = _Seen(at=now, data=dict(data))
            while self._cache:
                oldest = next(iter(self._cache))
                if len(self._cache) <= MOST_CACHED and now - self._cache[oldest].at < self._cache_seconds:
                    return
                del self._cache[oldest]

    def _text(self, name: str, data: SecretData) -> str:
        text = json.dumps({"data": {key: base64.b64encode(data[key]).decode() for key in sorted(data)}})
        if len(text) > self.max_bytes:
            raise Terminal(f"secret {name} has {len(text)} bytes; its store keeps at most {self.max_bytes}")
        return text


def from_text(name: str, text: str) -> SecretData:
    """The value that is stored. Raises Terminal, quoting nothing of it, where it is no such object."""
    try:
        value: dict[str, Any] = json.loads(text)
        data = {key: base64.b64decode(item, validate=True) for key, item in value.get("data", {}).items()}
        return data | {key: item.encode() for key, item in value.get("stringData", {}).items()}
    except (ValueError, TypeError, AttributeError):
        # no `from`: the library's error would quote the value
        raise Terminal(
            f'secret {name} must be a JSON object with data (base64) or stringData (text): {{"data": {{"token": "…"}}}}'
        ) from None
