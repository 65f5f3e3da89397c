"""Secrets that an operator gives to the process in its environment: read-only, in front of another adapter.

Each variable ``PENSTOCK_SECRET_<ANYTHING>`` holds one JSON object: whose Secret it is, and its data as a Kubernetes
Secret writes it (``data`` in base64, ``stringData`` as text):

    PENSTOCK_SECRET_WEBHOOK='{"cluster": "production", "namespace": "flux-system", "name": "webhook-token",
                              "stringData": {"token": "…"}}'

``cluster`` is ``-`` for a Secret of the plane itself (the token of ``spec.source``). What follows the prefix is only
there to tell variables apart: variable names cannot carry Kubernetes names. Every stage of the process has the same
environment, so that none of them is named: whoever asks for the Secret, by whichever reader's name, gets it.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Refused, Terminal
from penstock.core.secrets.names import OWN, for_reader, secret_name
from penstock.ports.secrets import SecretData, Secrets

PREFIX = "PENSTOCK_SECRET_"


def secrets_of(environment: Mapping[str, str]) -> dict[str, SecretData]:
    """The secrets in these variables, by the store's name of the plane's own.

    Raises Terminal naming the variable, never its value.
    """
    found: dict[str, SecretData] = {}
    for variable in sorted(environment):
        if variable.startswith(PREFIX):
            name, data = _parse(variable, environment[variable])
            if name in found:
                raise Terminal(f"environment variable {variable} names a Secret that an earlier variable gives already")
            found[name] = data
    return found


def _parse(variable: str, text: str) -> tuple[str, SecretData]:
    try:
        value: dict[str, Any] = json.loads(text)
        name = secret_name(OWN, *(str(value[part]) for part in ("cluster", "namespace", "name")))
        data = {key: base64.b64decode(item, validate=True) for key, item in value.get("data", {}).items()}
        data |= {key: item.encode() for key, item in value.get("stringData", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        # no `from`: the library's error would quote the value
        raise Terminal(
            f"environment variable {variable} must hold a JSON object with cluster, namespace, name and "
            "data (base64) or stringData (text)"
        ) from None
    return name, data


class EnvironmentSecrets:
    """``values`` (see ``secrets_of``) in front of ``base``; what stands in front is never overwritten.

    It stands there for every reader.
    """

    def __init__(self, values: Mapping[str, SecretData], base: Secrets) -> None:
        self._values = {name: dict(data) for name, data in values.items()}
        self._base = base

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:
        """The environment's value, else the base's."""
        found = self._values.get(for_reader(OWN, name))
        return dict(found) if found is not None else self._base.get(name, newest=newest)

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store in the base. Raises Refused for another value than the environment gives."""
        found = self._values.get(for_reader(OWN, name))
        if found == dict(data):
            return False
        if found is not None:
            raise Refused(f"secret {name} comes from the environment ({PREFIX}…): it stays as it is")
        return self._base.put(name, data, owner=owner)

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy from the base."""
        self._base.delete(name, owner=owner)

    def names(self) -> tuple[str, ...]:
        """Both, sorted."""
        return tuple(sorted({*self._values, *self._base.names()}))
