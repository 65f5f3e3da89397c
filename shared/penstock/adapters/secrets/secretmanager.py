"""The plane's secrets in Google Secret Manager (REST API v1), read through a cache that forgets.

A secret's id is ``<prefix>-<name>`` (core.secrets.names); for the payload of its versions see stored.py. Copies that
the plane makes carry the label ``penstock-owner`` with its uid; what does not carry it is an operator's, and stays as
it is. The plane keeps one version of its own copies: the one before is destroyed when the next one is there.
"""

import base64
import binascii
import contextlib
from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from penstock.adapters.google.client import Act, Answered, GoogleClient
from penstock.adapters.google.names import GoogleNames
from penstock.adapters.secrets.stored import CACHE_SECONDS, CachedSecrets
from penstock.core.errors import Terminal, Transient
from penstock.ports.clock import Clock

OWNER = "penstock-owner"
_MISSING = ("NOT_FOUND",)
_UNREADABLE = ("NOT_FOUND", "FAILED_PRECONDITION")
"""Without a version, or its newest one is disabled or destroyed: whoever did that wants nobody to have it."""
MOST_ID = 255
MOST_LEFT = 8
"""Older versions that are looked for when a new one is there."""


class SecretManagerSecrets(CachedSecrets):
    """See ports.secrets.Secrets."""

    def __init__(
        self, client: GoogleClient, names: GoogleNames, clock: Clock, *, cache_seconds: float = CACHE_SECONDS
    ) -> None:
        super().__init__(clock, cache_seconds)
        self._client, self._prefix = client, names.secret_prefix
        self._base = f"{names.endpoints.secrets}/v1"
        self._parent = f"projects/{names.project}"
        # ids are the project's; where a plane has several regions, a value is in its cluster's alone
        self._replication: dict[str, Any] = (
            {"userManaged": {"replicas": [{"location": names.region}]}} if names.home else {"automatic": {}}
        )

    def names(self) -> tuple[str, ...]:
        """All, sorted."""
        query = {"pageSize": "500", "filter": f"name:{self._prefix}"}
        act = Act(permission="secretmanager.secrets.list", resource=self._parent)
        pages = self._client.pages(f"{self._base}/{self._parent}/secrets", act, query)
        found = [secret["name"].rpartition("/")[2] for page in pages for secret in page.get("secrets", ())]
        return tuple(sorted(n.removeprefix(self._prefix) for n in found if n.startswith(self._prefix)))

    def _read(self, name: str) -> str | None:
        try:
            answer = self._call("GET", name, "/versions/latest:access", "versions.access", expect=_UNREADABLE)
            return base64.b64decode(answer["payload"].get("data", ""), validate=True).decode()
        except Answered:
            return None
        except (binascii.Error, UnicodeDecodeError):
            raise Terminal(f"secret {name} holds no text") from None

    def _owner(self, name: str) -> str | None:
        try:
            secret = self._call("GET", name, "", "secrets.get", expect=_MISSING)
        except Answered:
            return None
        return str(secret.get("labels", {}).get(OWNER, ""))

    def _create(self, name: str, text: str, owner: str) -> None:
        """A crash before its first version leaves a secret that reads as missing; the next put adds the version."""
        if len(self._prefix + name) > MOST_ID:
            raise Terminal(
                f"secret {self._prefix}{name} has a name of more than {MOST_ID} characters: Google takes none"
            )
        url = f"{self._base}/{self._parent}/secrets?{urlencode({'secretId': self._prefix + name})}"
        act = Act(permission="secretmanager.secrets.create", resource=self._parent, expect=("ALREADY_EXISTS",))
        try:
            self._client.call("POST", url, act, {"replication": self._replication, "labels": {OWNER: owner}})
        except Answered as answered:
            raise Transient(f"secret {name} cannot be made now: {answered.code}") from None
        self._add(name, text)

    def _replace(self, name: str, text: str) -> None:
        """A kill in between, or a version that was added twice since an answer was lost, leave some to the next."""
        number = self._add(name, text)
        with contextlib.suppress(Answered):  # it was destroyed or deleted before, and so were those before it
            for older in range(number - 1, max(0, number - 1 - MOST_LEFT), -1):
                path = f"/versions/{older}:destroy"
                self._call("POST", name, path, "versions.destroy", {}, ("NOT_FOUND", "FAILED_PRECONDITION"))

    def _add(self, name: str, text: str) -> int:
        body = {"payload": {"data": base64.b64encode(text.encode()).decode()}}
        version = self._call("POST", name, ":addVersion", "versions.add", body)
        return int(str(version["name"]).rpartition("/")[2])

    def _remove(self, name: str) -> None:
        with contextlib.suppress(Answered):  # somebody else was faster
            self._call("DELETE", name, "", "secrets.delete", expect=_MISSING)

    def _call(  # noqa: PLR0913, PLR0917 - what a call has
        self, method: str, name: str, path: str, right: str, body: Any = None, expect: Collection[str] = ()
    ) -> Any:
        resource = f"{self._parent}/secrets/{self._prefix}{name}"
        act = Act(permission=f"secretmanager.{right}", resource=resource, expect=expect)
        return self._client.call(method, f"{self._base}/{resource}{path}", act, body)
