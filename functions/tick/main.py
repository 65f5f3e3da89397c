"""tick: the scheduler's call: publish what is due by interval."""

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from penstock.wiring.functions import schedule_function


@functions_framework.http
def tick(request: Request) -> Response:
    """POST: 204 when all that is due was published (penstock.stages.tick)."""
    return schedule_function("tick", request)
