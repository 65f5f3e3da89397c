"""The requests of each Provider type: the JSON that Flux's notification controller sends."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from penstock.core.errors import Terminal, Transient
from penstock.core.flux.alert import Alert
from penstock.core.flux.provider import SERVED_TYPES
from penstock.core.http import HttpResponse
from penstock.core.messages import Event
from penstock.core.notify import generic, pagerduty, slack
from penstock.core.notify.notification import event_json, notification, object_uid, repeat_key, reporting_controller
from penstock.core.notify.request import check
from penstock.core.notify.services import SERVICES
from penstock.core.notify.target import Target

EVENT = Event(
    id="e-1",
    cluster="production",
    api_version="kustomize.toolkit.fluxcd.io/v1",
    kind="Kustomization",
    namespace="flux-system",
    name="apps",
    severity="error",
    reason="HealthCheckFailed",
    message="Health check failed\nDeployment/web not ready",
    timestamp="2026-01-01T00:00:00Z",
    metadata={"revision": "main@sha1:" + "a" * 40, "token": "x", "digest": "y", "event.toolkit.fluxcd.io/team": "red"},
)
ALERT = Alert(name="on-call", namespace="flux-system", provider="p", metadata={"env": "production", "revision": "no"})
INFO = replace(EVENT, severity="info", reason="ReconciliationSucceeded", message="done")


def told(event=EVENT):
    return notification(event, ALERT, {"event.toolkit.fluxcd.io/env": "annotated", "other": "x"}, "plane-uid")


UID = object_uid(EVENT, "plane-uid")
METADATA = {"env": "production", "revision": "main@sha1:" + "a" * 40, "team": "red"}


def test_metadata_is_merged_with_the_event_winning_over_the_alert_and_that_over_the_object():
    assert told().metadata == METADATA
    annotated = notification(EVENT, replace(ALERT, metadata={}), {"event.toolkit.fluxcd.io/env": "annotated"}, "")
    assert annotated.metadata["env"] == "annotated"


def test_the_uid_is_the_objects_own_and_always_the_same():
    assert object_uid(replace(EVENT, id="2", message="other"), "plane-uid") == UID
    others = [replace(EVENT, cluster="staging"), replace(EVENT, name="b"), replace(EVENT, kind="GitRepository")]
    assert len({UID, object_uid(EVENT, "another"), *(object_uid(each, "plane-uid") for each in others)}) == 5
    assert [len(part) for part in UID.split("-")] == [8, 4, 4, 4, 12]


@pytest.mark.parametrize(
    ("kind", "controller"),
    [
        ("Kustomization", "kustomize-controller"),
        ("GitRepository", "source-controller"),
        ("HelmRelease", "helm-controller"),
        ("ImagePolicy", "image-reflector-controller"),
        ("Stage", "penstock"),
    ],
)
def test_the_controller_is_that_of_flux(kind, controller):
    assert reporting_controller(kind) == controller


def test_an_event_as_json_is_fluxs():
    assert event_json(told()) == {
        "involvedObject": {
            "kind": "Kustomization",
            "namespace": "flux-system",
            "name": "apps",
            "uid": UID,
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        },
        "severity": "error",
        "timestamp": "2026-01-01T00:00:00Z",
        "message": "Health check failed\nDeployment/web not ready",
        "reason": "HealthCheckFailed",
        "metadata": METADATA,
        "reportingController": "kustomize-controller",
        "reportingInstance": "penstock",
    }


def test_slack():
    target = Target(address="https://hooks.slack.com/services/T/B/x", channel="alerts", token=b"xoxb-1\n")
    (request,) = slack.requests(told(), target)
    assert request.url == "https://hooks.slack.com/services/T/B/x"
    assert request.headers == {"content-type": "application/json", "authorization": "Bearer xoxb-1"}
    assert json.loads(request.body) == {
        "channel": "alerts",
        "username": "kustomize-controller",
        "icon_url": "",
        "icon_emoji": "",
        "attachments": [
            {
                "fallback": "kustomization/apps.flux-system: Health check failed",
                "color": "danger",
                "author_name": "kustomization/apps.flux-system",
                "text": "Health check failed\nDeployment/web not ready",
                "mrkdwn_in": ["text"],
                "fields": [{"title": k, "value": v, "short": False} for k, v in METADATA.items()],
            }
        ],
    }


def test_slack_without_a_token_and_with_a_name():
    (request,) = slack.requests(told(INFO), Target(address="https://x/", username="flux"))
    body = json.loads(request.body)
    assert "authorization" not in request.headers
    assert (body["username"], body["attachments"][0]["color"]) == ("flux", "good")


@pytest.mark.parametrize(
    ("url", "body", "error", "text"),
    [
        (slack.API, b'{"ok":true}', None, ""),
        (slack.API, b'{"ok":false,"error":"channel_not_found"}', Terminal, "error channel_not_found"),
        (slack.API, b'{"ok":false,"error":"ratelimited"}', Transient, "error ratelimited"),
        (slack.API, b'{"ok":false,"error":"<b>s3cret</b>"}', Terminal, "error unknown"),
        (slack.API, b'{"ok":false}', Terminal, "error None"),
        (slack.API, b"busy", Transient, "without JSON"),
        (slack.API, b"[]", Transient, "without JSON"),
        ("https://hooks.slack.com/services/x", b'{"ok":false}', None, ""),
    ],
)
def test_slacks_api_refuses_in_the_body(url, body, error, text):
    (request,) = slack.requests(told(), Target(address=url))
    answer = HttpResponse(status=200, body=body)
    if error is None:
        slack.check_answer(request, answer)
        return
    with pytest.raises(error, match=text) as caught:
        slack.check_answer(request, answer)
    assert "s3cret" not in str(caught.value)


def test_pagerduty_triggers_for_an_error():
    target = Target(address="https://events.eu.pagerduty.com/ignored?x=1", channel="routing-key")
    (request,) = pagerduty.requests(told(), target)
    assert request.url == "https://events.eu.pagerduty.com/v2/enqueue"
    assert json.loads(request.body) == {
        "routing_key": "routing-key",
        "event_action": "trigger",
        "dedup_key": UID,
        "payload": {
            "summary": "health check failed: kustomization/apps",
            "source": "Flux kustomize-controller",
            "severity": "error",
            "timestamp": "2026-01-01T00:00:00Z",
            "component": "apps",
            "group": "Kustomization",
            "custom_details": {"message": EVENT.message, "metadata": METADATA},
        },
    }


def test_pagerduty_resolves_the_same_incident_and_reports_a_change():
    resolve, change = pagerduty.requests(told(INFO), Target(address="https://events.pagerduty.com", channel="k"))
    assert json.loads(resolve.body) == {"routing_key": "k", "event_action": "resolve", "dedup_key": UID}
    assert change.url == "https://events.pagerduty.com/v2/change/enqueue"
    assert json.loads(change.body) == {
        "routing_key": "k",
        "payload": {
            "summary": "reconciliation succeeded: kustomization/apps",
            "source": "Flux kustomize-controller",
            "timestamp": "2026-01-01T00:00:00Z",
            "custom_details": {"message": "done", "metadata": METADATA},
        },
        "links": None,
    }


def test_pagerduty_hears_of_no_progress():
    assert pagerduty.requests(told(replace(INFO, reason="Progressing")), Target(address="https://x")) == ()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ReconciliationSucceeded", "reconciliation succeeded"),
        ("HTTPServer2Go", "http server 2 go"),
        ("URLInvalid", "url invalid"),
        ("A", "a"),
        ("", ""),
    ],
)
def test_reasons_are_split_as_flux_splits_them(reason, words):
    assert pagerduty.reason_words(reason) == words


def test_generic():
    target = Target(
        address="https://x/y",
        headers={"x-team": "red", "authorization": "Bearer 1"},
        login={"authorization": "Basic 2"},
    )
    (request,) = generic.requests(told(), target)
    assert json.loads(request.body) == event_json(told())
    assert request.headers == {
        "content-type": "application/json",
        "gotk-component": "kustomize-controller",
        "x-team": "red",
        "authorization": "Bearer 1",
    }


def test_generic_hmac_signs_the_bytes_that_it_sends():
    (request,) = generic.signed_requests(told(), Target(address="https://x", token=b"k\n"))
    expected = hmac.new(b"k\n", request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-signature"] == f"sha256={expected}"


def test_generic_hmac_without_a_token_is_an_error():
    with pytest.raises(Terminal, match="no `token`"):
        generic.signed_requests(told(), Target(address="https://x"))


def test_every_served_type_has_a_module_and_no_other():
    assert set(SERVICES) == SERVED_TYPES


@pytest.mark.parametrize(
    ("status", "headers", "error", "wait"),
    [
        (200, {}, None, None),
        (202, {}, None, None),
        (204, {}, None, None),
        (301, {}, Terminal, None),
        (400, {}, Terminal, None),
        (404, {}, Terminal, None),
        (429, {"retry-after": "30"}, Transient, 30.0),
        (429, {"retry-after": "999999999"}, Transient, 3600.0),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, Transient, None),
        (500, {}, Transient, None),
        (501, {}, Terminal, None),
        (503, {}, Transient, None),
    ],
)
def test_answers(status, headers, error, wait):
    answer = HttpResponse(status=status, headers=headers, body=b"s3cret")
    if error is None:
        check(answer)
        return
    with pytest.raises(error, match=str(status)) as caught:
        check(answer)
    assert getattr(caught.value, "retry_after", None) == wait
    assert "s3cret" not in str(caught.value)


def test_events_that_say_the_same_have_one_key():
    assert repeat_key(EVENT) == repeat_key(replace(EVENT, id="2", severity="info", reason="x", timestamp="y"))
    others = [
        replace(EVENT, message="other"),
        replace(EVENT, name="other"),
        replace(EVENT, cluster="other"),
        replace(EVENT, metadata={"revision": "other"}),
        replace(EVENT, metadata={}),
    ]
    assert len({repeat_key(EVENT), *(repeat_key(each) for each in others)}) == 6


def test_text_that_is_no_utf_8_is_told_all_the_same():
    event = replace(EVENT, message="\ud800")
    assert len(repeat_key(event)) == 64
    assert json.loads(generic.requests(told(event), Target(address="https://x"))[0].body)["message"] == "\\ud800"


def test_words_of_others_call_nobody_in_slack():
    event = replace(EVENT, message="<!channel> a < b & c")
    (request,) = slack.requests(told(event), Target(address="https://x"))
    assert json.loads(request.body)["attachments"][0]["text"] == "&lt;!channel&gt; a &lt; b &amp; c"
