"""Tokens of the ServiceAccounts that sources of clouds name, for `fetch`, which reaches no cluster.

A token is for a cloud's token exchange alone (its audience), so it opens nothing in the cluster. It is asked for anew
when half of its life is over; what the ServiceAccount's annotations say goes along, as it was then.
"""

import json
from collections.abc import Mapping

from penstock.core.errors import PenstockError
from penstock.core.identity import accounts, aws, azure
from penstock.core.resources import Gvk, Manifest
from penstock.core.secrets.names import FETCH, account_token_name, secret_name
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.copies import put_copy

SECONDS = 12 * 3600
"""Asked of the API server; it may give less."""

_SERVICE_ACCOUNT = Gvk(version="v1", kind="ServiceAccount")
_CLOUDS = ("aws", "azure", "gcp")


def logs_in_as(document: Manifest) -> tuple[str, str]:
    """Provider and ServiceAccount of a source that logs in at a cloud as one; ("", "") for any other."""
    spec = document.get("spec") or {}
    provider, account = str(spec.get("provider") or ""), str(spec.get("serviceAccountName") or "")
    return (provider, account) if provider in _CLOUDS and account and not spec.get("secretRef") else ("", "")


def copy_token(attempt: Attempt, namespace: str, provider: str, account: str, *, reread: bool) -> bool:
    """Bring the store's token up to date; whether there was none before. What fails is recorded, nothing lost.

    ``reread``: look at one that is there, too.
    """
    secrets, now = attempt.deps.secrets, attempt.deps.clock.now().timestamp()
    stored_as = secret_name(FETCH, attempt.cluster, namespace, account_token_name(provider, account))
    held = secrets.get(stored_as)
    if held is not None and not reread:
        return False
    try:
        found = attempt.home().get(_SERVICE_ACCOUNT, namespace, account)
        if found is None:
            secrets.delete(stored_as, owner=attempt.uid)
            return False
        described = _described(found)
        if held is not None and held.get("account") == described and _lasts(held, now):
            return False
        given = attempt.home().request_token(
            namespace, account, audiences=(_audience(attempt, provider, found),), seconds=SECONDS
        )
        half = now + (given.expires - now) / 2
        data = {
            "account": described,
            "token": given.token.encode(),
            "expires": repr(given.expires).encode(),
            "due": repr(half).encode(),
        }
        put_copy(attempt, stored_as, data)
    except PenstockError as error:
        attempt.deps.telemetry.record(
            "source's account not read", cluster=attempt.cluster, namespace=namespace, name=account, reason=error.reason
        )
        return False
    return held is None


def _described(account: Manifest) -> bytes:
    """What is needed of the ServiceAccount: who it is, and its annotations."""
    metadata = account["metadata"]
    kept = {name: metadata.get(name) for name in ("name", "namespace", "uid", "annotations")}
    return json.dumps({"metadata": kept}, sort_keys=True).encode()


def _lasts(held: Mapping[str, bytes], now: float) -> bool:
    try:
        return float(held["due"]) > now
    except (KeyError, ValueError):
        return False


def _audience(attempt: Attempt, provider: str, account: Manifest) -> str:
    if provider == "aws":
        return aws.TOKEN_AUDIENCE
    if provider == "azure":
        return azure.TOKEN_AUDIENCE
    return accounts.gcp_federation(account, attempt.plane.cluster(attempt.cluster).kube_config.gke).token_audience
