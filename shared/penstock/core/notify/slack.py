"""Slack: an incoming webhook, or ``chat.postMessage`` with a token. Payload: Flux's notification controller."""

import json

from penstock.core.errors import Terminal, Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.notify.notification import Notification
from penstock.core.notify.request import check, post
from penstock.core.notify.target import Target

API = "https://slack.com/api/chat.postMessage"


def requests(notification: Notification, target: Target) -> tuple[HttpRequest, ...]:
    """One message with one attachment."""
    event = notification.event
    attachment = {
        "fallback": f"{notification.label}: {event.message.partition(chr(10))[0]}",
        "color": "danger" if event.severity == "error" else "good",
        "author_name": notification.label,
        "text": _escaped(event.message),
        "mrkdwn_in": ["text"],
        "fields": [{"title": key, "value": value, "short": False} for key, value in notification.metadata.items()],
    }
    payload = {
        "channel": target.channel,
        "username": target.username or notification.controller,
        "icon_url": "",
        "icon_emoji": "",
        "attachments": [attachment],
    }
    headers = {"authorization": f"Bearer {target.bearer}"} if target.bearer else {}
    return (post(target.address, payload, headers={**target.login, **headers}),)


def _escaped(text: str) -> str:
    """As Slack asks for (https://docs.slack.dev/messaging/formatting-message-text): no word calls a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def check_answer(request: HttpRequest, answer: HttpResponse) -> None:
    """As ``request.check``; the API answers 200 to what it refuses, and says so in the body."""
    check(answer)
    if request.url != API:
        return
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Transient("Slack's API answered 200 without JSON", reason="NotificationDispatchFailed")
    if body.get("ok") is True:
        return
    error = str(body.get("error"))
    known = error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 64 else "unknown"
    kind = Transient if known in ("ratelimited", "internal_error", "service_unavailable") else Terminal
    raise kind(f"Slack's API answered with error {known}", reason="NotificationDispatchFailed")
