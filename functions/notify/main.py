"""notify: an event happened: tell the providers whose Alerts match."""

import functions_framework
from cloudevents.http import CloudEvent

from penstock.wiring.functions import topic_function


@functions_framework.cloud_event
def notify(event: CloudEvent) -> None:
    """One message of event (penstock.stages.notify)."""
    topic_function("notify", event)
