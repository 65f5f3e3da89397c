"""Requests whose outcome somebody may ask for.

Record ``asked/<day>/<id>`` says that there was one, ``request/<id>`` how it ended (written by reconcile). Both go after
KEPT_DAYS.
"""

import re
from datetime import date, timedelta
from itertools import islice

from penstock.core.errors import Transient
from penstock.core.http import HttpResponse, json_response, problem
from penstock.core.records import FORMAT
from penstock.ports.deps import Deps

REQUESTS = "/requests/"
KEPT_DAYS = 2
"""Today's and yesterday's: a request of a minute to midnight can be asked for a day long."""

MOST_SWEPT = 200
"""Requests that one request forgets."""

SWEPT_KEY = "asked-swept"
_IDENTITY = re.compile(r"[0-9a-f]{32}")


def remember(identity: str, deps: Deps) -> str:
    """Write down that there is such a request; where its outcome will be found."""
    today = deps.clock.now().date()
    deps.state.put(_asked(today, identity), {"format": FORMAT}, expected=None)
    _sweep(today, deps)
    return f"{REQUESTS}{identity}"


def outcome(identity: str, deps: Deps) -> HttpResponse:
    """200 with the outcome, 202 while it is not known, 404 for what nobody has asked for lately."""
    if not _IDENTITY.fullmatch(identity) or not _is_asked(identity, deps):
        return problem(404, "Not Found", "no such request, or it is older than a day")
    found = deps.state.get(f"request/{identity}")
    if found is None or found.value.get("ready") == "Unknown":
        headers = {"location": f"{REQUESTS}{identity}", "retry-after": "1"}
        return json_response(202, {"request": identity, "outcome": "not known yet"}, headers=headers)
    return json_response(200, {name: value for name, value in found.value.items() if name != "format"})


def _is_asked(identity: str, deps: Deps) -> bool:
    today = deps.clock.now().date()
    days = (today - timedelta(days=back) for back in range(KEPT_DAYS))
    return any(deps.state.get(_asked(day, identity)) is not None for day in days)


def _sweep(today: date, deps: Deps) -> None:
    """Once a day, forget the requests of the days before. What is left behind by a failure goes a day later."""
    try:
        swept = deps.state.get(SWEPT_KEY)
        if swept is not None and swept.value.get("day") == today.isoformat():
            return
        oldest, left = _asked(today - timedelta(days=KEPT_DAYS - 1), ""), MOST_SWEPT
        for record in islice((each for each in deps.state.scan("asked/") if each.key < oldest), left):
            deps.state.delete(f"request/{record.key.rpartition('/')[2]}", expected=None)
            deps.state.delete(record.key, expected=None)
            left -= 1
        if not left:
            return  # the next request goes on
        deps.state.put(SWEPT_KEY, {"format": FORMAT, "day": today.isoformat()}, expected=None)
    except Transient as error:
        deps.telemetry.record("requests not swept", stage="api", reason=error.reason, detail=str(error))


def _asked(day: date, identity: str) -> str:
    return f"asked/{day.isoformat()}/{identity}"
