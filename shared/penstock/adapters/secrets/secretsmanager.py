"""The plane's secrets in AWS Secrets Manager, read through a cache that forgets.

A secret is called ``<prefix>/<name>`` (core.secrets.names); for its string see stored.py. Copies that the plane makes
carry the tag ``penstock.dev/owner`` with its uid; what does not carry it is an operator's, and stays as it is.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.secrets.stored import CACHE_SECONDS, CachedSecrets
from penstock.core.errors import Transient
from penstock.ports.clock import Clock

OWNER = "penstock.dev/owner"

_MISSING = frozenset({"ResourceNotFoundException"})
_GOING = "InvalidRequestException"
"""Of a secret that is scheduled for deletion."""


class SecretsManagerSecrets(CachedSecrets):
    """See ports.secrets.Secrets. ``path``: what names start with, with its slash."""

    def __init__(self, clients: Clients, path: str, clock: Clock, *, cache_seconds: float = CACHE_SECONDS) -> None:
        super().__init__(clock, cache_seconds)
        self._clients, self._path = clients, path

    def names(self) -> tuple[str, ...]:
        """All, sorted. Secrets Manager's list can be five minutes behind."""
        parameters = {"Filters": [{"Key": "name", "Values": [self._path]}], "MaxResults": 100}
        pages = self._clients.pages("secretsmanager", "list_secrets", f"{self._path}*", parameters)
        found = [entry["Name"] for page in pages for entry in page.get("SecretList", ())]
        return tuple(sorted(name.removeprefix(self._path) for name in found if name.startswith(self._path)))

    def _read(self, name: str) -> str | None:
        try:
            answer = self._call("get_secret_value", name, {}, {*_MISSING, _GOING})
        except Answered:
            return None
        return str(answer.get("SecretString", ""))

    def _owner(self, name: str) -> str | None:
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

    def _replace(self, name: str, text: str) -> None:
        self._call("put_secret_value", name, {"SecretString": text})

    def _remove(self, name: str) -> None:
        with contextlib.suppress(Answered):  # somebody else was faster
            self._call("delete_secret", name, {"ForceDeleteWithoutRecovery": True}, _MISSING)

    def _call(
        self, operation: str, name: str, parameters: Mapping[str, Any], expect: frozenset[str] | set[str] = frozenset()
    ) -> dict[str, Any]:
        full = self._path + name
        return self._clients.call("secretsmanager", operation, full, {"SecretId": full, **parameters}, expect=expect)
