"""generic and generic-hmac: Flux's event as JSON to any HTTP endpoint, signed where the type says so."""

from dataclasses import replace

from penstock.core.errors import Terminal
from penstock.core.http import HttpRequest
from penstock.core.notify.notification import Notification, event_json
from penstock.core.notify.request import post
from penstock.core.notify.target import Target
from penstock.core.webhooks.signature import hmac_sha256


def requests(notification: Notification, target: Target) -> tuple[HttpRequest, ...]:
    """One POST; the Secret's ``headers`` win over our own."""
    headers = {**target.login, "gotk-component": notification.controller, **target.headers}
    return (post(target.address, event_json(notification), headers=headers),)


def signed_requests(notification: Notification, target: Target) -> tuple[HttpRequest, ...]:
    """The same with ``X-Signature: sha256=<hex>`` over the body. Raises Terminal where the Secret has no ``token``."""
    if not target.token:
        raise Terminal("the Provider's Secret has no `token` to sign with", reason="InvalidConfig")
    (request,) = requests(notification, target)
    signature = hmac_sha256(request.body, target.token)
    return (replace(request, headers={**request.headers, "x-signature": signature}),)
