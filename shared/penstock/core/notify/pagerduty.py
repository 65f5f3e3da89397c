"""PagerDuty's Events API v2: errors trigger an incident, everything else resolves it and is a change event.

Spec: https://developer.pagerduty.com/docs/events-api-v2. Payload: Flux's notification controller.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from penstock.core.http import HttpRequest
from penstock.core.notify.notification import Notification
from penstock.core.notify.request import post
from penstock.core.notify.target import Target

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^A-Za-z0-9]+")


def requests(notification: Notification, target: Target) -> tuple[HttpRequest, ...]:
    """The alert event, then for an info event the change event; none for ``Progressing``."""
    event = notification.event
    if event.reason == "Progressing":
        return ()
    url = urlsplit(target.address)
    base = f"{url.scheme}://{url.netloc}"
    alert = {
        "routing_key": target.channel,
        "event_action": "trigger" if event.severity == "error" else "resolve",
        "dedup_key": notification.uid,
        **({"payload": _incident(notification)} if event.severity == "error" else {}),
    }
    sent = [post(f"{base}/v2/enqueue", alert, headers={})]
    if event.severity == "info":
        change = {"routing_key": target.channel, "payload": _common(notification), "links": None}
        sent.append(post(f"{base}/v2/change/enqueue", change, headers={}))
    return tuple(sent)


def reason_words(reason: str) -> str:
    """A CamelCase reason as lower-case words: ``HealthCheckFailed`` is ``health check failed``."""
    return " ".join(_WORD.findall(reason)).lower()


def _common(notification: Notification) -> dict[str, Any]:
    event = notification.event
    return {
        "source": f"Flux {notification.controller}",
        "summary": f"{reason_words(event.reason)}: {event.kind}/{event.name}".lower(),
        "timestamp": event.timestamp,
        "custom_details": {"message": event.message, "metadata": dict(notification.metadata)},
    }


def _incident(notification: Notification) -> dict[str, Any]:
    event = notification.event
    return {**_common(notification), "severity": "error", "component": event.name, "group": event.kind}
