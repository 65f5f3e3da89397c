"""Tells one Alert's Provider, if nobody has."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from penstock.core.errors import PenstockError, Terminal, Transient
from penstock.core.flux.alert import Alert
from penstock.core.flux.provider import Provider, parse_provider
from penstock.core.notify import ledger
from penstock.core.notify.notification import notification
from penstock.core.notify.services import SERVICES
from penstock.core.notify.target import target
from penstock.core.records import ObjectRecord
from penstock.core.secrets.names import NOTIFY, secret_name
from penstock.ports.state import Record
from penstock.stages.notify import claims
from penstock.stages.notify.case import Case, provider_key, sent_key, settle
from penstock.stages.notify.outcome import report

_SECRET_WAIT = 10.0
"""Seconds until a Secret that the store does not have yet is looked for again."""


def told(cluster: str, alert: Alert, lost: "Future[bool]", case: Case) -> PenstockError | None:
    """None where the Alert is done with; Transient where it is to be tried again, Terminal where it cannot be told.

    ``lost``: whether another event has said the same meanwhile; then nobody is told.
    """
    try:
        claim = claims.claim(sent_key(cluster, alert, case), case)
        if claim is None or isinstance(claim, Terminal):
            return claim
        return None if claims.given_up(claim, lost, case) else _tell(cluster, alert, claim, case)
    except Transient as error:
        report(cluster, alert, case, error)
        return error


def _tell(cluster: str, alert: Alert, claim: Record, case: Case) -> Terminal | None:
    """What makes it impossible, if anything does. Raises Transient."""
    error = None
    try:
        sent = _send(cluster, alert, case)
    except Transient:
        settle(lambda: case.deps.state.delete(claim.key, expected=claim.version), case)
        raise
    except Terminal as refused:
        sent, error = 1, refused
    value = ledger.outcome_value(ledger.FAILED if error else ledger.SENT, case.now)
    with ThreadPoolExecutor(max_workers=1) as pool:
        marked = pool.submit(settle, lambda: case.deps.state.put(claim.key, value, expected=claim.version), case)
        if sent:
            report(cluster, alert, case, error)
    marked.result()
    return error


def _send(cluster: str, alert: Alert, case: Case) -> int:
    """How many requests went out. Raises Transient or Terminal."""
    provider = _provider(cluster, alert, case)
    if provider.suspend:
        return 0
    if case.event.metadata.get("commit_status") == "update" and not SERVICES[provider.type].updates:
        return 0
    held = _secret(cluster, provider, case)
    try:
        return _post(provider, held, alert, case)
    except Terminal:  # what is cached may be the address or token before, and no longer taken
        newest = _secret(cluster, provider, case, newest=True)
        if newest == held:
            raise
    return _post(provider, newest, alert, case)


def _post(provider: Provider, secret: Mapping[str, bytes], alert: Alert, case: Case) -> int:
    """As ``_send``."""
    where, service = target(provider, secret), SERVICES[provider.type]
    plane = case.plane.uid if case.plane else ""
    told = notification(case.event, alert, case.metadata("annotations") or {}, plane)
    requests = service.requests(told, where)
    for request in requests:
        with case.deps.telemetry.span("deliver", provider=provider.type, alert=f"{alert.namespace}/{alert.name}"):
            service.check(request, case.deps.notifier.send(request))
    return len(requests)


def _provider(cluster: str, alert: Alert, case: Case) -> Provider:
    record = case.get(provider_key(cluster, alert))
    stored = ObjectRecord.from_value(record.value) if record else None
    if stored is None or stored.tombstone:
        message = f"spec.providerRef.name: there is no Provider {alert.namespace}/{alert.provider}"
        raise Terminal(message, reason="NotFound")
    return parse_provider(stored.document)


def _secret(cluster: str, provider: Provider, case: Case, *, newest: bool = False) -> Mapping[str, bytes]:
    if not provider.secret:
        return {}
    stored_as = secret_name(NOTIFY, cluster, provider.namespace, provider.secret)
    data = case.deps.secrets.get(stored_as, newest=newest)
    if data is None:
        message = f"Secret {provider.namespace}/{provider.secret} is not in the plane's store ({stored_as})"
        raise Transient(message, reason="SecretNotFound", retry_after=_SECRET_WAIT)
    return data
