"""A look at a source that a command has asked for, and what came of it: ``checked`` of its status tells when it was."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from penstock.cli.client import Client
from penstock.core.errors import NotFound, Terminal, Transient

AGAIN = 5.0
"""Seconds after which the look is asked for once more: one in the same second as the look before does not show."""
PAUSE = 0.5


def look_and_wait(client: Client, body: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
    """``ready``, ``reason``, ``message`` of the source after a look that began after this was called.

    ``body``: ``cluster``, ``kind``, ``namespace``, ``name``. Raises Terminal where it is suspended, NotFound where the
    plane has no such source, Transient where it was not looked at in time.
    """
    before, end = _row(client, body), time.monotonic() + seconds
    if before["suspended"]:
        raise Terminal(f"{body['kind']} {body['name']} is suspended: set spec.suspend to false where it is declared")
    asked = -AGAIN
    while (now := time.monotonic()) < end:
        if now - asked >= AGAIN:
            client.post("/reconcile", body)
            asked = now
        row = _row(client, body)
        if row["checked"] != before["checked"]:
            ready: Mapping[str, Any] = next((each for each in row["conditions"] if each["type"] == "Ready"), {})
            return {"ready": ready.get("status"), "reason": ready.get("reason"), "message": ready.get("message")}
        time.sleep(min(PAUSE, max(0.0, end - now)))
    raise Transient(f"it was not looked at within {seconds:g} s: `penstock status -o json` shows when it is (checked)")


def _row(client: Client, body: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = client.get(f"/status?cluster={quote(str(body['cluster']))}").body["objects"]
    wanted = tuple(body[name] for name in ("kind", "namespace", "name"))
    for row in rows:
        if (row["kind"], row["namespace"], row["name"]) == wanted:
            return dict(row)
    raise NotFound(f"cluster {body['cluster']} has no {body['kind']} {body['namespace']}/{body['name']}")
