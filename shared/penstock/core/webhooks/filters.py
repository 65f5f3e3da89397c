"""``spec.resourceFilter`` and ``spec.resources[].filter`` of Receivers: CEL expressions that let objects be woken.

As Flux's notification-controller: ``res`` is an object's apiVersion, kind and metadata, ``req`` the request's JSON body
({} where the body is something else). Both filters have to let an object through.
"""

import json
from collections.abc import Mapping
from typing import Any

from penstock.core.cel.expression import InvalidExpression, compile_boolean
from penstock.core.http import HttpRequest
from penstock.core.resources import Manifest

VARIABLES = ("res", "req")
FILTERS = ("receiverFilter", "filter")
"""The keys of a Receiver index entry's resource that hold expressions."""


def filter_problem(expression: str) -> str:
    """Why an expression is no filter, or ""."""
    try:
        compile_boolean(expression, VARIABLES)
    except InvalidExpression as error:
        return str(error)
    return ""


def has_filter(resource: Mapping[str, str]) -> bool:
    """Whether an entry of the Receiver index asks for more than the object's name."""
    return any(resource.get(name) for name in FILTERS)


def lets_through(resource: Mapping[str, str], manifest: Manifest, request: Mapping[str, Any]) -> bool:
    """Whether all filters of an entry are true of an object and ``request`` (see request_data).

    Raises EvaluationFailed where that cannot be told, InvalidExpression where an expression is none.
    """
    shown = {name: manifest[name] for name in ("apiVersion", "kind", "metadata") if name in manifest}
    data = {"res": shown, "req": request}
    return all(compile_boolean(resource[name], VARIABLES).holds(data) for name in FILTERS if resource.get(name))


def request_data(request: HttpRequest) -> dict[str, Any]:
    """The JSON object of a verified request's body; {} for any other body."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
