"""notify: an event happened: tell the providers whose Alerts match."""

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from penstock.wiring.functions import topic_function


@functions_framework.http
def notify(request: Request) -> Response:
    """One message of event (penstock.stages.notify)."""
    return topic_function("notify", request)
