"""What a cloud's token or look-up endpoint answered, as a JSON object or as one of the project's errors."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from penstock.core.errors import NotFound, PenstockError, Refused, Transient
from penstock.core.http import HttpResponse

_LONGEST = 300
_DAY = 86_400.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


def json_of(answer: HttpResponse, what: str) -> dict[str, Any]:
    """The object in a successful answer. ``what``: what was asked of whom, for messages.

    Raises Refused (4xx), NotFound (404), Transient (429, 5xx, or an answer that is no JSON object).
    """
    if answer.status >= 300:
        raise error_of(answer, what)
    found = _object(answer.body)
    if found is None:
        raise malformed(what)
    return found


def inner(found: Mapping[str, Any], name: str, what: str) -> Mapping[str, Any]:
    """An object within one; {} where it is not there. Raises Transient (see malformed) where it is something else."""
    value = found.get(name) or {}
    if not isinstance(value, Mapping):
        raise malformed(what)
    return value


def token_of(value: object, what: str) -> str:
    """A token as it can stand in a header. Raises Transient (see malformed)."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise malformed(what)
    return value


def lifetime(value: object, what: str) -> float:
    """Seconds, a number or digits in a string; of more than a day, a day. Raises Transient (see malformed)."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not seconds > 0:
        raise malformed(what)
    return min(seconds, _DAY)


def malformed(what: str) -> Transient:
    """The error for an answer that is not what the cloud documents (its text may hold a token: it is not quoted)."""
    return Transient(f"{what}: the answer is not what is documented")


def error_of(answer: HttpResponse, what: str) -> PenstockError:
    """The error for an answer that is no success. Of the body only the documented fields are told."""
    said = f"{what}: {_said(answer)} ({answer.status})"
    if answer.status == 429 or answer.status >= 500:
        return Transient(said)
    if answer.status == 404:
        return NotFound(said, reason="ReconciliationFailed")
    if answer.status < 400:
        return Refused(f"{what}: it redirects elsewhere, which is not followed ({answer.status})")
    return Refused(said)


def _said(answer: HttpResponse) -> str:
    told = (_said_in_json(answer.body), _said_in_xml(answer.body), "refused without a reason")
    first = next(text for text in told if text.strip()).strip().splitlines()[0]
    return first if len(first) <= _LONGEST else first[:_LONGEST] + " …"


def _said_in_json(body: bytes) -> str:
    found = _object(body) or {}
    error = found.get("error")
    if isinstance(error, dict):  # Google, Azure's resource manager
        return ": ".join(str(error[k]) for k in ("status", "code", "message") if isinstance(error.get(k), str))
    if isinstance(error, str):  # OAuth 2.0
        return f"{error}: {found.get('error_description') or ''}".removesuffix(": ")
    message = found.get("message") or found.get("Message")
    return str(message) if message else ""


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _said_in_xml(body: bytes) -> str:
    found = {name: text for name, text in xml_texts(body).items() if name in {"Code", "Message"}}
    return ": ".join(found[name] for name in ("Code", "Message") if name in found)


def xml_texts(body: bytes) -> dict[str, str]:
    """The texts of an AWS query API's answer by element name, without name space; {} where it is no XML."""
    if b"<!" in body:  # no such answer has a document type: nothing is ever expanded
        return {}
    try:
        root = ET.fromstring(body)  # noqa: S314 - no entities: see above
    except ET.ParseError:
        return {}
    return {each.tag.rpartition("}")[2]: each.text.strip() for each in root.iter() if each.text and each.text.strip()}
