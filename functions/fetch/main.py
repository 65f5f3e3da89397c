"""fetch: a source may have changed: look at its head, store its tree, wake whom it touches."""

import functions_framework
from cloudevents.http import CloudEvent

from penstock.wiring.functions import topic_function


@functions_framework.cloud_event
def fetch(event: CloudEvent) -> None:
    """One message of source-changed (penstock.stages.fetch)."""
    topic_function("fetch", event)
