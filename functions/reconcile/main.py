"""reconcile: a Kustomization is due: render, plan, apply, prune, check health, wake dependents."""

import functions_framework
from cloudevents.http import CloudEvent

from penstock.wiring.functions import topic_function


@functions_framework.cloud_event
def reconcile(event: CloudEvent) -> None:
    """One message of artifact-stored or reconcile-due (penstock.stages.reconcile)."""
    topic_function("reconcile", event)
