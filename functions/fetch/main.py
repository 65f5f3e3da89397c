"""fetch: a source may have changed: look at its head, store its tree, wake whom it touches."""

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from penstock.wiring.functions import topic_function


@functions_framework.http
def fetch(request: Request) -> Response:
    """One message of source-changed (penstock.stages.fetch)."""
    return topic_function("fetch", request)
