"""The plane's secrets in AWS Secrets Manager, read through a cache that forgets.

A secret is called ``<prefix>/<name>`` (core.secrets.names). Its string is a JSON object as the data of a Kubernetes
Secret is written: ``{"data": {"token": "<base64>"}}``; ``stringData`` (plain text) is read too, for those that an
operator makes by hand. Copies that the plane makes carry the tag ``penstock.dev/owner`` with its uid; what does not
carry it is an operator's, and stays as it is.
"""

import base64
import contextlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.adapters.aws.clients import Answered, Clients
from penstock.core.errors import Refused, Terminal, Transient
from penstock.ports.clock import Clock
from penstock.ports.secrets import SecretData

OWNER = "penstock.dev/owner"
CACHE_SECONDS = 60.0
"""A rotated secret is seen by every warm function after at most this; until then the old value is still taken."""
MAX_BYTES = 65_536
"""Secrets Manager's limit for one value."""

_MISSING = frozenset({"ResourceNotFoundException"})
_GOING = "InvalidRequestException"
"""Of a secret that is scheduled for deletion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    at: float
    data: SecretData = field(repr=False)
    owner: str | None = None
    """None where nobody asked."""


class SecretsManagerSecrets:
    """See ports.secrets.Secrets. ``path``: what names start with, with its slash."""

    def __init__(self, clients: Clients, path: str, clock: Clock, *, cache_seconds: float = CACHE_SECONDS) -> None:
        self._clients, self._path, self._clock, self._cache_seconds = clients, path, clock, cache_seconds
        self._cache: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> SecretData | None:
        """The value, at most ``cache_seconds`` old; None where there is none (that is not remembered)."""
        seen = self._seen(name)
        if seen is not None:
            return dict(seen.data)
        data = self._fetch(name)
        self._remember(name, data)
        return None if data is None else dict(data)

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store a copy of our own. Within the cache's time, an equal copy costs no call."""
        seen = self._seen(name)
        if seen is not None and seen.owner == owner and seen.data == dict(data):
            return False
        text = _write(name, data)
        found = self._owner(name)
        if found is None:
            self._create(name, text, owner)
        elif found != owner:
            raise Refused(f"secret {name} exists and is not a copy made by plane {owner}: it stays as it is")
        elif self._fetch(name) == dict(data):
            self._remember(name, data, owner)
            return False
        else:
            self._call("put_secret_value", name, {"SecretString": text})
        self._remember(name, data, owner)
        return True

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy, at once: it can be made again at any time."""
        if self._owner(name) == owner:
            with contextlib.suppress(Answered):  # somebody else was faster
                self._call("delete_secret", name, {"ForceDeleteWithoutRecovery": True}, _MISSING)
        self._remember(name, None)

    def names(self) -> tuple[str, ...]:
        """All, sorted. Secrets Manager's list can be five minutes behind."""
        found: list[str] = []
        parameters: dict[str, Any] = {"Filters": [{"Key": "name", "Values": [self._path]}], "MaxResults": 100}
        while True:
            page = self._clients.call("secretsmanager", "list_secrets", f"{self._path}*", parameters)
            found += [entry["Name"] for entry in page.get("SecretList", ())]
            if not page.get("NextToken"):
                break
            parameters["NextToken"] = page["NextToken"]
        return tuple(sorted(name.removeprefix(self._path) for name in found if name.startswith(self._path)))

    def _seen(self, name: str) -> _Seen | None:
        with self._lock:
            seen = self._cache.get(name)
        return seen if seen is not None and self._clock.monotonic() - seen.at < self._cache_seconds else None

    def _remember(self, name: str, data: SecretData | None, owner: str | None = None) -> None:
        with self._lock:
            if data is None:
                self._cache.pop(name, None)
            else:
                self._cache[name] = _Seen(at=self._clock.monotonic(), data=dict(data), owner=owner)

    def _fetch(self, name: str) -> SecretData | None:
        try:
            answer = self._call("get_secret_value", name, {}, {*_MISSING, _GOING})
        except Answered:
            return None
        return _read(name, answer.get("SecretString", ""))

    def _owner(self, name: str) -> str | None:
        """The owner mark, "" where there is none, None where there is no secret."""
        try:
            answer = self._call("describe_secret", name, {}, _MISSING)
        except Answered:
            return None
        if answer.get("DeletedDate"):
            raise Transient(f"secret {name} is being deleted: restore it, or wait until it is gone")
        return next((str(tag["Value"]) for tag in answer.get("Tags", ()) if tag["Key"] == OWNER), "")

    def _create(self, name: str, text: str, owner: str) -> None:
        parameters = {"Name": self._path + name, "SecretString": text, "Tags": [{"Key": OWNER, "Value": owner}]}
        expect = {"ResourceExistsException", _GOING}
        try:
            self._clients.call("secretsmanager", "create_secret", self._path + name, parameters, expect=expect)
        except Answered as answered:
            raise Transient(f"secret {name} cannot be made now: {answered.code}") from None

    def _call(
        self, operation: str, name: str, parameters: Mapping[str, Any], expect: frozenset[str] | set[str] = frozenset()
    ) -> dict[str, Any]:
        full = self._path + name
        return self._clients.call("secretsmanager", operation, full, {"SecretId": full, **parameters}, expect=expect)


def _write(name: str, data: SecretData) -> str:
    text = json.dumps({"data": {key: base64.b64encode(data[key]).decode() for key in sorted(data)}})
    if len(text) > MAX_BYTES:
        raise Terminal(f"secret {name} has {len(text)} bytes; Secrets Manager keeps at most {MAX_BYTES}")
    return text


def _read(name: str, text: str) -> SecretData:
    try:
        value: dict[str, Any] = json.loads(text)
        data = {key: base64.b64decode(item, validate=True) for key, item in value.get("data", {}).items()}
        return data | {key: item.encode() for key, item in value.get("stringData", {}).items()}
    except (ValueError, TypeError, AttributeError):
        # no `from`: the library's error would quote the value
        raise Terminal(
            f'secret {name} must be a JSON object with data (base64) or stringData (text): {{"data": {{"token": "…"}}}}'
        ) from None
