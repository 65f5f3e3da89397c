"""The api of a plane, as commands ask it: JSON over HTTP, the plane's errors as the project's own."""

import argparse
import getpass
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from penstock.core.errors import InvalidDocument, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.flux.fields import parse_duration
from penstock.core.reconcile.masked import masking_key
from penstock.version import __version__
from penstock.wiring import settings_from
from penstock.wiring.reach import Reach, reach

TIMEOUT = 70.0
"""Seconds for one answer: the api waits for 50 at most."""
LONGEST_SLICE = 45.0
_MOST_BYTES = 64 * 1024 * 1024
_KINDS = {
    "kustomization": "Kustomization", "ks": "Kustomization",
    "source": "GitRepository", "gitrepository": "GitRepository",
    "ocirepository": "OCIRepository", "bucket": "Bucket",
}  # fmt: skip
_ERRORS: dict[int, type[PenstockError]] = {400: Terminal, 403: Refused, 404: NotFound, 422: InvalidDocument}


class Named(NamedTuple):
    """An object of the plane."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """``status``: 200 or 202; ``body``: JSON."""

    status: int
    body: Mapping[str, Any]


class Client:
    """Raises Transient where the plane does not answer, Refused for a wrong token, NotFound, InvalidDocument."""

    def __init__(self, plane: Reach) -> None:
        self._plane = plane
        local = urlsplit(plane.url).hostname in ("127.0.0.1", "localhost", "::1")
        handlers = [urllib.request.ProxyHandler({})] if local else []
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def masking_key(self) -> bytes:
        """The key under which this plane masks the values of Secrets."""
        return masking_key(self._plane.token.encode())

    def get(self, path: str) -> Answer:
        """One GET."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """One POST."""
        return self._call("POST", path, json.dumps(body).encode())

    def outcome(self, identity: str, seconds: float) -> Mapping[str, Any] | None:
        """What became of a request; None where it is not known after ``seconds``."""
        end = time.monotonic() + seconds
        while True:
            found = self.get(f"/requests/{identity}?wait={max(0.0, min(LONGEST_SLICE, end - time.monotonic())):.1f}s")
            if found.status == 200:
                return found.body
            if time.monotonic() >= end:
                return None
            time.sleep(0.2)

    def cluster_of(self, kind: str, namespace: str, name: str) -> str:
        """The one cluster that has an object. Raises NotFound where none has, Terminal where several do."""
        rows = self.get("/status").body["objects"]
        found = [r["cluster"] for r in rows if (r["kind"], r["namespace"], r["name"]) == (kind, namespace, name)]
        if not found:
            raise NotFound(
                f"no cluster of this plane has {kind} {namespace}/{name}: `penstock status` lists what there is"
            )
        if len(found) > 1:
            raise Terminal(f"{kind} {namespace}/{name} is in clusters {', '.join(found)}: choose with --cluster")
        return str(found[0])

    def _call(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {
            "authorization": f"Bearer {self._plane.token}",
            "content-type": "application/json",
            "user-agent": f"penstock/{__version__}",
        }
        request = urllib.request.Request(self._plane.url + path, data=body, method=method, headers=headers)  # noqa: S310 - http(s), see reach
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return Answer(status=answer.status, body=_decoded(answer.read(_MOST_BYTES)))
        except urllib.error.HTTPError as error:
            with error:
                raise _error(error.code, error.read(_MOST_BYTES), self._plane.url) from error
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            raise Transient(f"the plane at {self._plane.url} does not answer: {reason}") from error


def add_plane_flags(parser: argparse.ArgumentParser) -> None:
    """Where the plane is."""
    parser.add_argument("--url", default="", help="default: $PENSTOCK_URL, else what serves on this machine")
    parser.add_argument("--token-file", default="", help="default: $PENSTOCK_API_TOKEN, else the data directory's")
    parser.add_argument("--data-dir", default="", help="of a plane on this machine")


def add_object_flags(parser: argparse.ArgumentParser, kinds: str) -> None:
    """Which object."""
    parser.add_argument("object", metavar=kinds)
    parser.add_argument("-n", "--namespace", default="flux-system", help="default: %(default)s")
    parser.add_argument("--cluster", default="", help="needed where several clusters have it")


def add_who(parser: argparse.ArgumentParser) -> None:
    """On whose behalf."""
    parser.add_argument("--who", default="", help="default: you, at this machine")


def open_client(args: argparse.Namespace) -> Client:
    """The plane that the flags, the environment or this machine name."""
    return Client(reach(settings_from(data_dir=args.data_dir), url=args.url, token_file=args.token_file))


def named(text: str, kinds: Iterable[str] = ("Kustomization",)) -> Named:
    """``kustomization/NAME`` (ks) or ``source/NAME`` (gitrepository). Raises Terminal."""
    kind, _, name = text.partition("/")
    found = _KINDS.get(kind.lower(), "")
    if found not in kinds or not name or "/" in name:
        forms = [f"{spelt}/NAME" for spelt in ("kustomization", "source") if _KINDS[spelt] in kinds]
        raise Terminal(f"{text!r}: give {' or '.join(forms)}")
    return Named(kind=found, name=name)


def target(args: argparse.Namespace, client: Client, wanted: Named) -> dict[str, str]:
    """The fields that name an object in a request's body."""
    cluster = args.cluster or client.cluster_of(wanted.kind, args.namespace, wanted.name)
    return {"cluster": cluster, "namespace": args.namespace, "name": wanted.name}


def who(args: argparse.Namespace) -> str:
    """``user@host``, or what was given."""
    if args.who:
        return str(args.who)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may have a number for a user, and no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def seconds_of(text: str, flag: str) -> float:
    """A duration of Flux (``30s``, ``5m``) in seconds. Raises Terminal naming the flag."""
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise Terminal(f"{flag} {text!r} is not a duration such as 30s") from error


def query(**values: str) -> str:
    """``?a=b`` of those that are set, or ""."""
    pairs = [f"{key}={quote(value)}" for key, value in values.items() if value]
    return "?" + "&".join(pairs) if pairs else ""


def _decoded(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except ValueError as error:
        raise Terminal("the answer is no JSON: is this the URL of a plane?") from error
    if not isinstance(found, dict):
        raise Terminal("the answer is no JSON object: is this the URL of a plane?")
    return found


def _error(status: int, body: bytes, url: str) -> PenstockError:
    try:
        found = json.loads(body)
        text = str(found.get("detail") or found.get("title") or "")
    except (ValueError, AttributeError):
        text = ""
    if status == 401:
        return Refused(f"the plane at {url} does not take this token")
    if status >= 500:
        return Transient(f"the plane at {url} could not do it ({status}): {text or 'try again'}")
    return _ERRORS.get(status, Terminal)(text or f"the plane at {url} answers {status}")
