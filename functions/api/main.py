"""api: what an operator asks of the plane: reconcile, plan, suspend, resume, status."""

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from penstock.wiring.functions import http_function


@functions_framework.http
def api(request: Request) -> Response:
    """See penstock.stages.api for the paths."""
    return http_function("api", request)
