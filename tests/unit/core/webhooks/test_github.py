"""GitHub's deliveries: verified over the raw bytes before anything is parsed."""

import hashlib
import hmac
import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.http import HttpRequest
from penstock.core.webhooks import github
from penstock.core.webhooks.delivery import Refusal, WebhookDelivery

TOKEN = b"It's a Secret to Everybody"
COMMIT = "b8d24a2c0b1f4fe1b0cf4a5b1a8bd6e1c33f5d6a"
PUSH = {"ref": "refs/heads/main", "after": COMMIT}


def delivery(body=None, event="push", token=TOKEN, media="application/json", **headers):
    raw = json.dumps(PUSH if body is None else body).encode() if not isinstance(body, bytes) else body
    base = {
        "content-type": media,
        "x-github-event": event,
        "x-hub-signature-256": "sha256=" + hmac.new(token, raw, hashlib.sha256).hexdigest(),
    }
    merged = base | {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(
        method="POST", path="/hook/x", headers={k: v for k, v in merged.items() if v is not None}, body=raw
    )


def test_the_example_of_githubs_documentation_verifies():
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    github.verify(delivery(b"Hello, World!", x_hub_signature_256=signature), TOKEN)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (delivery(), WebhookDelivery(event="push", hint=f"main@sha1:{COMMIT}")),
        (delivery(media="application/json; charset=utf-8"), WebhookDelivery(event="push", hint=f"main@sha1:{COMMIT}")),
        (delivery({"zen": "…"}, event="ping"), WebhookDelivery(event="ping", ping=True)),
        (
            delivery({"ref": "refs/heads/a/b", "after": COMMIT}),
            WebhookDelivery(event="push", hint=f"a/b@sha1:{COMMIT}"),
        ),
        (delivery({"ref": "refs/tags/v1", "after": COMMIT}), WebhookDelivery(event="push", hint=f"v1@sha1:{COMMIT}")),
        (delivery({"ref": "refs/heads/main", "after": "0" * 40}), WebhookDelivery(event="push")),
        (delivery({"ref": "refs/heads/a\nb", "after": COMMIT}), WebhookDelivery(event="push")),
        (delivery({"ref": ["refs/heads/main"], "after": 7}), WebhookDelivery(event="push")),
        (delivery({}), WebhookDelivery(event="push")),
        (delivery(PUSH, event="release"), WebhookDelivery(event="release")),
        (
            delivery(urlencode({"payload": json.dumps(PUSH)}).encode(), media="application/x-www-form-urlencoded"),
            WebhookDelivery(event="push", hint=f"main@sha1:{COMMIT}"),
        ),
    ],
)
def test_a_signed_delivery_is_read(request_, expected):
    assert github.read(request_, TOKEN) == expected


def sha1(raw):
    return "sha1=" + hmac.new(TOKEN, raw, hashlib.sha1).hexdigest()


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (delivery(media="text/plain"), 415, "content type"),
        (delivery(content_type=None), 415, "content type"),
        (delivery(x_hub_signature_256=None), 401, "signature is missing"),
        (delivery(x_hub_signature_256=""), 401, "signature is missing"),
        (delivery(x_hub_signature_256=None, x_hub_signature=sha1(json.dumps(PUSH).encode())), 401, "SHA-1"),
        (delivery(x_hub_signature_256=sha1(json.dumps(PUSH).encode())), 401, "does not match"),
        (delivery(x_hub_signature_256="sha256=é"), 401, "does not match"),
        (delivery(x_hub_signature_256="sha256="), 401, "does not match"),
        (delivery(token=b"another"), 401, "does not match"),
        (delivery(b"{not json"), 400, "no JSON"),
        (delivery(b"[1]"), 400, "no JSON object"),
        (delivery(b"\xff\xfe"), 400, "no JSON"),
        (delivery(b"[" * 200_000), 400, "no JSON"),
        (delivery(b"pay=1", media="application/x-www-form-urlencoded"), 400, "no JSON"),
        (delivery(event="../../etc"), 400, "X-GitHub-Event"),
        (delivery(x_github_event=None), 400, "X-GitHub-Event"),
    ],
)
def test_what_is_not_served_is_refused_with_its_status(request_, status, reason):
    with pytest.raises(Refusal, match=reason) as caught:
        github.read(request_, TOKEN)
    assert caught.value.status == status


def test_nothing_is_parsed_before_it_is_verified():
    """An unsigned body of broken JSON is 401, not 400."""
    with pytest.raises(Refusal) as caught:
        github.read(delivery(b"{not json", token=b"another"), TOKEN)
    assert caught.value.status == 401


def test_an_empty_token_verifies_nothing():
    with pytest.raises(Refusal, match="token is empty") as caught:
        github.read(delivery(token=b""), b"")
    assert caught.value.status == 401


def test_one_changed_byte_breaks_the_signature():
    signed = delivery()
    for index in range(0, len(signed.body), 7):
        forged = bytearray(signed.body)
        forged[index] ^= 1
        with pytest.raises(Refusal) as caught:
            github.read(replace(signed, body=bytes(forged)), TOKEN)
        assert caught.value.status == 401


def test_what_we_sign_reads_back():
    request = github.signed(url="https://x/hook/y", event="push", payload=PUSH, token=TOKEN, delivery="d-1")
    assert github.read(request, TOKEN).hint == f"main@sha1:{COMMIT}"
    assert request.url == "https://x/hook/y"
    assert TOKEN.decode() not in repr(request)


@given(
    body=st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "x-github-event", "x-hub-signature-256", "x-hub-signature"]), st.text()
    ),
    signed=st.booleans(),
)
def test_whatever_arrives_is_a_delivery_or_a_refusal(body, headers, signed):
    request = HttpRequest(method="POST", path="/", headers=headers, body=body)
    if signed:
        request = delivery(
            body, **{name.replace("-", "_"): text for name, text in headers.items() if "sig" not in name}
        )
    status, read = 200, None
    try:
        read = github.read(request, TOKEN)
    except Refusal as refusal:
        status = refusal.status
    assert status in (200, 400, 401, 415)
    assert signed or read is None, "nothing unsigned is ever read"
