"""The plane's secrets in AWS Systems Manager's Parameter Store, read through a cache that forgets.

A secret is the SecureString ``/<prefix>/<name>`` (core.secrets.names); for its string see stored.py. Copies that the
plane makes carry the tag ``penstock.dev/owner`` with its uid; what does not carry it is an operator's, and stays as it
is. Parameters of more than 4 KiB become advanced ones by themselves (Intelligent-Tiering), above 8 KiB there are none.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.secrets.stored import CACHE_SECONDS, CachedSecrets
from penstock.core.errors import Terminal, Transient
from penstock.ports.clock import Clock

OWNER = "penstock.dev/owner"
MAX_BYTES = 8_192

_MISSING = frozenset({"ParameterNotFound"})
_NO_RESOURCE = frozenset({"InvalidResourceId"})
_VALUE = {"Type": "SecureString", "Tier": "Intelligent-Tiering"}


class ParameterStoreSecrets(CachedSecrets):
    """See ports.secrets.Secrets. ``path``: what names start with, with its slashes."""

    max_bytes = MAX_BYTES

    def __init__(self, clients: Clients, path: str, clock: Clock, *, cache_seconds: float = CACHE_SECONDS) -> None:
        super().__init__(clock, cache_seconds)
        self._clients, self._path = clients, path

    def names(self) -> tuple[str, ...]:
        """All, sorted. The values that come along are ciphertext."""
        parameters = {"Path": self._path.rstrip("/"), "MaxResults": 10}
        pages = self._clients.pages("ssm", "get_parameters_by_path", f"{self._path}*", parameters)
        found = [str(each["Name"]) for page in pages for each in page.get("Parameters", ())]
        return tuple(sorted(name.removeprefix(self._path) for name in found))

    def _read(self, name: str) -> str | None:
        try:
            parameter = self._call("get_parameter", name, {"WithDecryption": True}, _MISSING)["Parameter"]
        except Answered:
            return None
        if parameter["Type"] != "SecureString":
            raise Terminal(f"parameter {self._path}{name} is a {parameter['Type']}: make it a SecureString")
        return str(parameter["Value"])

    def _owner(self, name: str) -> str | None:
        full = self._path + name
        parameters = {"ResourceType": "Parameter", "ResourceId": full}
        try:
            tags = self._clients.call("ssm", "list_tags_for_resource", full, parameters, expect=_NO_RESOURCE)
        except Answered:
            return None
        return next((str(tag["Value"]) for tag in tags.get("TagList", ()) if tag["Key"] == OWNER), "")

    def _create(self, name: str, text: str, owner: str) -> None:
        parameters = {**_VALUE, "Value": text, "Tags": [{"Key": OWNER, "Value": owner}], "Overwrite": False}
        try:
            self._call("put_parameter", name, parameters, {"ParameterAlreadyExists"})
        except Answered:
            raise Transient(f"secret {name} cannot be made now: somebody else was faster") from None

    def _replace(self, name: str, text: str) -> None:
        self._call("put_parameter", name, {**_VALUE, "Value": text, "Overwrite": True})

    def _remove(self, name: str) -> None:
        with contextlib.suppress(Answered):  # somebody else was faster
            self._call("delete_parameter", name, {}, _MISSING)

    def _call(
        self, operation: str, name: str, parameters: Mapping[str, Any], expect: frozenset[str] | set[str] = frozenset()
    ) -> dict[str, Any]:
        full = self._path + name
        return self._clients.call("ssm", operation, full, {"Name": full, **parameters}, expect=expect)
