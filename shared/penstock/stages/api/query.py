"""What stands behind the question mark.

A parameter that is unknown or cannot be read is an error, never ignored: ``?plan=yes`` must not reconcile.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from penstock.core.errors import InvalidDocument
from penstock.core.flux.fields import parse_duration
from penstock.core.http import HttpRequest

LONGEST_WAIT = 50.0
_MOST_PARAMETERS = 16
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """``plan``: change nothing; ``wait``: seconds, at most LONGEST_WAIT; ``cluster``: "" is any.

    ``namespace``, ``name``: of a Kustomization.
    """

    plan: bool = False
    wait: float = 0.0
    cluster: str = ""
    namespace: str = ""
    name: str = ""


def read_query(request: HttpRequest, *known: str) -> Query:
    """The query of a path that takes these parameters. Raises InvalidDocument naming the parameter."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise InvalidDocument("has too many parameters", document="query") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise _wrong(name, f"is not a parameter here (known: {', '.join(known) or 'none'})")
        if name in found:
            raise _wrong(name, "is given twice")
        found[name] = value
    return Query(
        plan=_boolean("plan", found.get("plan", "0")),
        wait=_seconds("wait", found.get("wait", "0s")),
        cluster=found.get("cluster", ""),
        namespace=found.get("namespace", "flux-system"),
        name=found.get("name", ""),
    )


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise _wrong(name, f"must be 1 or 0, not {text[:40]!r}")
    return _BOOLEANS[text]


def _seconds(name: str, text: str) -> float:
    try:
        return min(parse_duration(text[:40]).total_seconds(), LONGEST_WAIT)
    except (ValueError, OverflowError):
        raise _wrong(name, f"must be a duration such as 30s, not {text[:40]!r}") from None


def _wrong(name: str, problem: str) -> InvalidDocument:
    return InvalidDocument(problem, path=name[:40], document="query")
