"""What comes in and goes out: requests, responses, bodies, and which resource a URL names."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import unquote

import yaml

from penstock.devcluster.statuses import ApiError, bad_request
from penstock.devcluster.store import dump

JSON = "application/json"
MAX_BODY = 3 * 1024 * 1024
MAX_DEPTH, MAX_NODES = 150, 400_000
SUBRESOURCES_OF_NAMESPACES = frozenset({"status", "finalize"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request. ``headers``: lower-case names; ``query``: first values."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """The body's media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def dry_run(self) -> bool:
        """Whether nothing shall be stored."""
        return bool(self.query.get("dryRun"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One answer: either ``body``, or ``stream``, whose pieces are sent as chunks as they come."""

    code: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    stream: Iterator[bytes] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a URL names. ``plural`` "" is the group version itself; ``name`` "" the collection."""

    group: str
    version: str
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""


def json_response(value: Any, code: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer with a JSON body."""
    return Response(code=code, body=dump(value), headers=headers)


def parse_path(path: str) -> Target | None:
    """The target of ``/api/v1/…`` or ``/apis/group/version/…``; None for anything else."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces" and not (group == "" and rest[2] in SUBRESOURCES_OF_NAMESPACES):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "", "")[:3]
    return Target(group=group, version=version, namespace=namespace, plural=plural, name=name, subresource=subresource)


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: timestamps stay strings, ``y`` and ``n`` are booleans."""

    bool_values: ClassVar[dict[str, bool]] = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))


def read_body(request: Request, kind: str) -> Any:
    """The JSON or YAML document of a body. Raises ApiError (400)."""
    try:
        if request.media_type.endswith("yaml") and not request.body.lstrip().startswith(b"{"):
            return _bounded(yaml.load(request.body, _Loader))  # noqa: S506 — derived from the safe loader
        return _bounded(json.loads(request.body))
    except (ValueError, yaml.YAMLError, RecursionError) as problem:
        # The body itself is not repeated: it may be a Secret.
        where = getattr(problem, "problem_mark", None) or f"at character {getattr(problem, 'pos', '')}"
        if request.media_type.endswith("yaml"):
            raise bad_request(f"error decoding YAML: it cannot be parsed {where}") from None
        message = f"the object provided is unrecognized (must be of type {kind}): it cannot be parsed {where}"
        raise bad_request(message) from None


def _bounded(document: Any) -> Any:
    """The document, unless it nests or repeats itself (YAML aliases) beyond reason. Raises ValueError."""
    todo, nodes = [(document, 0)], 0
    while todo:
        value, depth = todo.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise ValueError(f"it nests deeper than {MAX_DEPTH} or holds more than {MAX_NODES} values")
        if isinstance(value, dict):
            todo.extend((child, depth + 1) for child in value.values())
        elif isinstance(value, list):
            todo.extend((child, depth + 1) for child in value)
    return document


def too_large() -> ApiError:
    """413."""
    message = f"Request entity too large: limit is {MAX_BODY}"
    return ApiError(413, "RequestEntityTooLarge", message)
