"""HTTP requests and responses as values: what the HTTP stages take and give, whatever carries them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """``path``: percent-decoded path without query; ``query``: raw; ``headers``: lower-case names."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    url: str = field(default="", repr=False)
    """Absolute URL, where the request goes out (notifications); "" where it came in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpResponse:
    """``headers``: lower-case names."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


LONGEST_WAIT = 3600.0
"""Seconds: the longest Retry-After that is believed."""


def seconds_to_wait(retry_after: str) -> float | None:
    """Seconds of a Retry-After header, bounded; None where it is absent, a date, or nonsense (RFC 9110, 10.2.3)."""
    text = retry_after.strip()
    return min(float(text[:9]), LONGEST_WAIT) if text.isascii() and text.isdigit() else None


def json_response(status: int, value: Any, *, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        body=json.dumps(value, indent=2).encode() + b"\n",
    )


def problem(status: int, title: str, detail: str = "") -> HttpResponse:
    """An RFC 9457 problem+json answer. ``detail``: what to do; never a secret, never what an attacker could use."""
    body = {"type": "about:blank", "status": status, "title": title, **({"detail": detail} if detail else {})}
    return HttpResponse(
        status=status,
        headers={"content-type": "application/problem+json"},
        body=json.dumps(body).encode() + b"\n",
    )
