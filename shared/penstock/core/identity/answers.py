"""What a cloud's token or look-up endpoint answered, as a JSON object or as one of the project's errors."""

import json
from typing import Any
from xml.etree import ElementTree as ET

from penstock.core.errors import NotFound, PenstockError, Refused, Transient
from penstock.core.http import HttpResponse

_LONGEST = 300


def json_of(answer: HttpResponse, what: str) -> dict[str, Any]:
    """The object in a successful answer. ``what``: what was asked of whom, for messages.

    Raises Refused (4xx), NotFound (404), Transient (429, 5xx, or an answer that is no JSON object).
    """
    if answer.status >= 300:
        raise error_of(answer, what)
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise malformed(what)
    return found


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
    text = _said_in_json(answer.body) or _said_in_xml(answer.body) or "refused without a reason"
    first = text.strip().splitlines()[0]
    return first if len(first) <= _LONGEST else first[:_LONGEST] + " …"


def _said_in_json(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    inner = found.get("error")
    if isinstance(inner, dict):  # Google, Azure's resource manager
        return ": ".join(str(inner[k]) for k in ("status", "code", "message") if isinstance(inner.get(k), str))
    if isinstance(inner, str):  # OAuth 2.0
        return f"{inner}: {found.get('error_description') or ''}".removesuffix(": ")
    message = found.get("message") or found.get("Message")
    return str(message) if message else ""


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
