"""A Kustomization that applies to another cluster is named in its home cluster, too.

Its inventory stands where it applies. Were the plane's records lost, nobody would know where that is. So before the
first write there, an inventory without entries is written at home: it keeps what a removal goes by, and discovery.py
finds it. Where the kubeConfig leads back home, that is the inventory itself.
"""

import hashlib
import json
from dataclasses import replace

from penstock.core.errors import PenstockError
from penstock.core.reconcile.inventory import (
    NAMESPACE,
    Inventory,
    Shown,
    from_config_map,
    inventory_name,
    to_config_map,
)
from penstock.core.records import removal_facts
from penstock.core.resources import Manifest
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.home import create_at_home
from penstock.stages.reconcile.lease import refuse_other_owner
from penstock.stages.reconcile.ledger import GVK

POINTED = "pointed"
"""In a status's summary: what the pointer says, as a digest."""
READY = "Elsewhere"


def point(attempt: Attempt) -> Attempt:
    """Name it at home, where that is news, and look whether that still stands at its interval.

    Raises OwnedByOther where the name is another plane's there.
    """
    if attempt.kustomization.kube_config is None:
        return attempt
    facts = removal_facts(attempt.record)
    said = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    if attempt.status.summary.get(POINTED) == said and attempt.message.why != "interval":
        return attempt
    wanted = Inventory(owner=str(attempt.owner), removal=facts)
    home = attempt.home()
    known = _known(home, attempt)
    if known is None:
        create_at_home(home, _pointer(attempt, wanted))
    elif not known.entries and known.removal != facts:
        again = replace(wanted, resource_version=known.resource_version, uid=known.uid)
        home.replace(_pointer(attempt, again))
    return replace(attempt, status=replace(attempt.status, summary={**attempt.status.summary, POINTED: said}))


def unpoint(attempt: Attempt) -> None:
    """It is gone: so is what named it at home. Left to the operator where it cannot be read or deleted."""
    if attempt.kustomization.kube_config is None:
        return
    try:
        home = attempt.home()
        known = _known(home, attempt)
        if known is not None and not known.entries:
            home.delete(_pointer(attempt, known))
    except PenstockError as error:
        attempt.deps.telemetry.record(
            "pointer not deleted", stage="reconcile", cluster=attempt.cluster, name=attempt.ref, reason=error.reason
        )


def _known(home: Cluster, attempt: Attempt) -> Inventory | None:
    found = home.get(GVK, NAMESPACE, _name(attempt))
    if found is None:
        return None
    if not attempt.adopting:
        refuse_other_owner(found, attempt.owner)
    return from_config_map(found)


def _name(attempt: Attempt) -> str:
    return inventory_name(attempt.owner.namespace, attempt.owner.name)


def _pointer(attempt: Attempt, inventory: Inventory) -> Manifest:
    given = attempt.kustomization.kube_config
    assert given is not None
    named = f"Secret {given.secret}" if given.secret else f"ConfigMap {given.config_map}"
    message = f"its inventory is in the cluster of {named} of namespace {attempt.message.namespace}"
    return to_config_map(inventory, attempt.owner, Shown(ready=READY, message=message))
