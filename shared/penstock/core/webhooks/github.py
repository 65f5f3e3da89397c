"""GitHub's webhooks: HMAC-SHA-256 over the raw body, then ``X-GitHub-Event`` and, of a push, where it went.

Spec: https://docs.github.com/webhooks/webhook-events-and-payloads. Flux also takes the older ``X-Hub-Signature``
(SHA-1) where the newer header is missing, and an unsigned request where the token is empty. Here neither is taken:
GitHub has sent SHA-256 since 2020, and whoever forges a request chooses its headers.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs

from penstock.core.http import HttpRequest
from penstock.core.webhooks.delivery import Refusal, WebhookDelivery
from penstock.core.webhooks.signature import hmac_sha256, matches

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_SIGNATURE = "x-hub-signature-256"
_OLD_SIGNATURE = "x-hub-signature"
_EVENT = "x-github-event"
_EVENT_NAME = re.compile(r"[a-z_]{1,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BRANCH_OR_TAG = re.compile(r"refs/(?:heads|tags)/([\x21-\x7e]{1,200})")
_NO_COMMIT = "0" * 40
"""What GitHub sends as ``after`` where the branch was deleted."""


def read(request: HttpRequest, token: bytes) -> WebhookDelivery:
    """The delivery, once its signature holds. Raises Refusal: 415, 401, or 400 for what is signed but not GitHub's."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in (JSON, FORM):
        raise Refusal(415, f"content type {media[:100]!r}, not {JSON} or {FORM}", reason="UnsupportedMediaType")
    verify(request, token)
    event = request.headers.get(_EVENT, "")
    if not _EVENT_NAME.fullmatch(event):
        raise Refusal(400, "header X-GitHub-Event is missing or is no event's name", reason="BadRequest")
    payload = _payload(request.body, media)
    return WebhookDelivery(event=event, hint=_hint(payload) if event == "push" else "", ping=event == "ping")


def verify(request: HttpRequest, token: bytes) -> None:
    """Raises Refusal (401) unless the body is signed with ``token``; an empty token verifies nothing."""
    if not token:
        raise Refusal(401, "the Receiver's token is empty: nothing can be verified")
    signature = request.headers.get(_SIGNATURE, "")
    if not signature:
        if _OLD_SIGNATURE in request.headers:
            raise Refusal(401, "only X-Hub-Signature (SHA-1) was sent, X-Hub-Signature-256 is needed")
        raise Refusal(401, "the signature is missing: the webhook has no secret at the sender")
    if not matches(signature, request.body, token):
        raise Refusal(401, "the signature does not match: the sender's secret is not the Receiver's token")


def signed(*, url: str, event: str, payload: dict[str, Any], token: bytes, delivery: str) -> HttpRequest:
    """A POST to ``url`` as GitHub would send it. ``delivery``: its id (a UUID at GitHub)."""
    body = json.dumps(payload).encode()
    headers = {
        "content-type": JSON,
        "user-agent": "GitHub-Hookshot/penstock",
        "x-github-delivery": delivery,
        _EVENT: event,
        _SIGNATURE: hmac_sha256(body, token),
    }
    return HttpRequest(method="POST", path="", headers=headers, body=body, url=url)


def _payload(body: bytes, media: str) -> dict[str, Any]:
    try:
        text = body.decode()
        if media == FORM:
            text = parse_qs(text, strict_parsing=True, max_num_fields=10)["payload"][0]
        payload = json.loads(text)
    except (ValueError, KeyError, RecursionError):
        # no `from`: the parser's error would quote the body
        raise Refusal(400, "the body is signed, but is no JSON", reason="BadRequest") from None
    if not isinstance(payload, dict):
        raise Refusal(400, "the body is signed, but is no JSON object", reason="BadRequest")
    return payload


def _hint(payload: dict[str, Any]) -> str:
    ref, commit = payload.get("ref"), payload.get("after")
    name = _BRANCH_OR_TAG.fullmatch(ref) if isinstance(ref, str) else None
    if name is None or not isinstance(commit, str) or not _COMMIT.fullmatch(commit) or commit == _NO_COMMIT:
        return ""
    return f"{name[1]}@sha1:{commit}"
