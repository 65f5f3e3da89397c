"""Google's error codes (google.rpc.Code) as errors of ours.

throttling, 5xx, network, an expired token    Transient
a condition that did not hold                 Conflict
no right to it                                Refused, naming the IAM permission and the resource
what was named does not exist                 NotFound
any other refusal of a request                Terminal

Only codes are quoted: the texts of errors could repeat what was sent.
"""

import json
from typing import Any

from penstock.core.errors import Conflict, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.http import HttpResponse, seconds_to_wait

_CONFLICTS = frozenset({"ABORTED", "ALREADY_EXISTS", "FAILED_PRECONDITION"})


def code_of(answer: HttpResponse) -> str:
    """``NOT_FOUND``; for Storage's JSON API, which gives none, "" ."""
    try:
        value: Any = json.loads(answer.body)
        if isinstance(value, list):  # a stream of answers that begins with its error
            value = value[0]
        return str(value["error"].get("status", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def translated(answer: HttpResponse, permission: str, resource: str) -> PenstockError:
    """Our error for an answer that is one. ``permission``: the IAM permission; ``resource``: what it was about."""
    code, status = code_of(answer), answer.status
    said = f"Google answered {code or status} to {permission} on {resource}"
    if code in _CONFLICTS or status in {409, 412}:
        return Conflict(said)
    if status >= 500 or status in {401, 408, 429}:
        return Transient(said, retry_after=seconds_to_wait(answer.headers.get("retry-after", "")))
    if status == 403:
        return Refused(f"{said}: the identity that this runs as needs the permission {permission} on {resource}")
    if status == 404:
        return NotFound(f"{said}: it does not exist")
    return Terminal(said)
