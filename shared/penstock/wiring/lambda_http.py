"""Function URLs of AWS Lambda: their events (payload format 2.0) as requests, answers as they take them."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from penstock.core.errors import Terminal
from penstock.core.http import HttpRequest, HttpResponse

Json = Mapping[str, Any]


class TooLarge(Exception):
    """The body is over the limit; it was not decoded."""


def request_of(event: Json, *, limit: int) -> HttpRequest:
    """The request. ``limit``: bytes of body. Raises TooLarge, and Terminal for what is no event of a function URL."""
    try:
        return HttpRequest(
            method=str(event["requestContext"]["http"]["method"]),
            path=unquote(str(event["rawPath"])),
            query=str(event.get("rawQueryString", "")),
            headers={str(name).lower(): str(value) for name, value in event.get("headers", {}).items()},
            body=_body(str(event.get("body") or ""), encoded=bool(event.get("isBase64Encoded")), limit=limit),
        )
    except (KeyError, TypeError, AttributeError, binascii.Error, UnicodeEncodeError) as error:
        raise Terminal("not an event of a Lambda function URL (payload format 2.0)") from error


def _body(text: str, *, encoded: bool, limit: int) -> bytes:
    """Lambda hands text over as it is, everything else in base64."""
    if (len(text) * 3 // 4 if encoded else len(text)) > limit + 2:
        raise TooLarge
    body = base64.b64decode(text, validate=True) if encoded else text.encode()
    if len(body) > limit:
        raise TooLarge
    return body


def answer_of(response: HttpResponse) -> dict[str, Any]:
    """What a function URL makes its HTTP answer of."""
    answer = {"statusCode": response.status, "headers": dict(response.headers)}
    try:
        return {**answer, "body": response.body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {**answer, "body": base64.b64encode(response.body).decode(), "isBase64Encoded": True}
