"""An event as a Kubernetes Event on the inventory object, so that ``kubectl events -n penstock-system`` tells it.

Equal ones (reason, message and revision) share a name: a second one raises the count of the first, it makes no new
object. As Flux's, they carry the revision as an annotation.
"""

import hashlib

from penstock.core.messages import Event
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name
from penstock.core.resources import Gvk, Manifest

GVK = Gvk(version="v1", kind="Event")
REPORTER = "penstock"
REVISION = "kustomize.toolkit.fluxcd.io/revision"
LONGEST = 1024
"""Characters of a message: what the API server takes of an Event."""


def kube_event(event: Event, *, uid: str, reporter: str) -> Manifest:
    """The Event for the target cluster.

    ``uid``: of the inventory object, "" where there is none yet; ``reporter``: which plane says so.
    """
    name = inventory_name(event.namespace, event.name)
    revision = event.metadata.get("revision", "")
    said = f"{event.severity}\n{event.reason}\n{revision}\n{event.message}"
    words = hashlib.sha256(said.encode()).hexdigest()[:16]
    metadata = {"name": f"{name[:230]}.{words}", "namespace": NAMESPACE}
    involved = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": NAMESPACE, "name": name}
    message = event.message if len(event.message) <= LONGEST else f"{event.message[: LONGEST - 1]}…"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata | ({"annotations": {REVISION: revision}} if revision else {}),
        "involvedObject": involved | ({"uid": uid} if uid else {}),
        "type": "Warning" if event.severity == "error" else "Normal",
        "reason": event.reason,
        "message": message,
        "source": {"component": REPORTER},
        "reportingComponent": REPORTER,
        "reportingInstance": reporter,
        "firstTimestamp": event.timestamp,
        "lastTimestamp": event.timestamp,
        "count": 1,
    }


def repeated(known: Manifest, again: Manifest) -> Manifest:
    """The Event that is there already, once more."""
    count = int(known.get("count") or 1) + 1
    return {**known, "involvedObject": again["involvedObject"], "lastTimestamp": again["lastTimestamp"], "count": count}
