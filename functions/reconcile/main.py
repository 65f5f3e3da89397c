"""reconcile: a Kustomization is due: render, plan, apply, prune, check health, wake dependents."""

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from penstock.wiring.functions import topic_function


@functions_framework.http
def reconcile(request: Request) -> Response:
    """One message of artifact-stored or reconcile-due (penstock.stages.reconcile)."""
    return topic_function("reconcile", request)
