"""webhook: a delivery from a Git server or registry in, wake-ups out. 202, or a refusal and nothing done."""

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from penstock.wiring.functions import http_function


@functions_framework.http
def webhook(request: Request) -> Response:
    """POST /hook/<digest> (penstock.stages.webhook)."""
    return http_function("webhook", request)
