"""Logins of OCIRepositories with a ServiceAccount: its imagePullSecrets, put together for `fetch`."""

import json
from collections.abc import Mapping
from typing import Any

from penstock.core.errors import PenstockError
from penstock.core.resources import Gvk, Manifest
from penstock.core.secrets.names import FETCH, pull_secrets_name, secret_name
from penstock.core.sources.registry_auth import CONFIG_KEY
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.context import secret_data
from penstock.stages.reconcile.copies import put_copy

_SERVICE_ACCOUNT = Gvk(version="v1", kind="ServiceAccount")
_MOST = 20


def pulls_as(document: Manifest) -> str:
    """The ServiceAccount whose pull secrets an OCIRepository uses; "" where it uses none."""
    spec = document.get("spec") or {}
    if document.get("kind") != "OCIRepository" or spec.get("secretRef"):
        return ""
    return str(spec.get("serviceAccountName") or "")


def copy_pull_secrets(attempt: Attempt, namespace: str, account: str, *, reread: bool) -> bool:
    """Bring the store's copy up to date; whether it changed. What cannot be read is left as it was, and recorded."""
    stored_as = secret_name(FETCH, attempt.cluster, namespace, pull_secrets_name(account))
    if not reread and attempt.deps.secrets.get(stored_as) is not None:
        return False
    try:
        auths = _auths(attempt, namespace, account)
        data = {CONFIG_KEY: json.dumps({"auths": auths}, sort_keys=True).encode()} if auths else {}
        return put_copy(attempt, stored_as, data)
    except PenstockError as error:
        attempt.deps.telemetry.record(
            "pull secrets not copied", cluster=attempt.cluster, namespace=namespace, name=account, reason=error.reason
        )
        return False


def _auths(attempt: Attempt, namespace: str, account: str) -> dict[str, Any]:
    """Of all pull secrets; the first that knows a registry counts."""
    found = attempt.home().get(_SERVICE_ACCOUNT, namespace, account)
    auths: dict[str, Any] = {}
    for each in ((found or {}).get("imagePullSecrets") or ())[:_MOST]:
        data = secret_data(attempt.home(), namespace, str(each.get("name", ""))) or {}
        for registry, login in _entries(data.get(CONFIG_KEY, b"")).items():
            auths.setdefault(registry, login)
    return auths


def _entries(config: bytes) -> Mapping[str, Any]:
    try:
        entries = json.loads(config)["auths"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return entries if isinstance(entries, Mapping) else {}
