"""Which kinds an API server serves: aggregated discovery in two requests, the plain one where it is older.

Aggregated: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.adapters.cluster.answers import Call
from penstock.adapters.cluster.transport import Request, Transport
from penstock.core.errors import Transient
from penstock.core.resources import Gvk
from penstock.ports.cluster import ResourceType

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT = f"{_AGGREGATED.format('v2')},{_AGGREGATED.format('v2beta1')},application/json"
AGE = 60.0
"""Seconds after which an unknown kind is worth another look although nobody asked for a refresh."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kinds:
    """The served kinds. ``stale``: (group, version) pairs whose own server (an APIService) did not answer."""

    by_version: Mapping[tuple[str, str, str], ResourceType]
    by_group: Mapping[tuple[str, str], ResourceType]
    stale: frozenset[tuple[str, str]] = frozenset()

    def find(self, group: str, kind: str, version: str) -> ResourceType | None:
        """The type of that version; of the first version in the server's order of preference for ""."""
        if version:
            return self.by_version.get((group, kind, version))
        return self.by_group.get((group, kind))


@dataclass(kw_only=True, slots=True)
class _Found:
    """Filled while discovery documents are read, in the server's order of preference."""

    types: list[ResourceType] = field(default_factory=list)
    stale: set[tuple[str, str]] = field(default_factory=set)

    def kinds(self) -> Kinds:
        by_version: dict[tuple[str, str, str], ResourceType] = {}
        by_group: dict[tuple[str, str], ResourceType] = {}
        for each in self.types:
            by_version.setdefault((each.gvk.group, each.gvk.kind, each.gvk.version), each)
            by_group.setdefault((each.gvk.group, each.gvk.kind), each)
        return Kinds(by_version=by_version, by_group=by_group, stale=frozenset(self.stale))


class Discovery:
    """The served kinds of one API server, cached and shared by every identity on it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: Kinds | None = None
        self._read_at = 0.0
        self._may_look_again = True

    def forget(self) -> None:
        """The next question reads discovery afresh."""
        with self._lock:
            self._kinds = None
            self._may_look_again = True

    def find(self, transport: Transport, group: str, kind: str, version: str) -> ResourceType | None:
        """The type or None; asks the server on first use and, at most once a minute, for an unknown kind.

        Raises Transient where the group is served by an APIService that does not answer.
        """
        with self._lock:
            if self._kinds is None:
                self._read(transport)
            elif self._kinds.find(group, kind, version) is None and self._worth_a_look():
                self._read(transport)
                self._may_look_again = False
            kinds = self._kinds
        assert kinds is not None
        found = kinds.find(group, kind, version)
        if found is None and any(g == group and version in {"", v} for g, v in kinds.stale):
            raise Transient(f"{kind}: the server of API group {group} does not answer (its APIService is down)")
        return found

    def _worth_a_look(self) -> bool:
        return self._may_look_again or self._clock() - self._read_at > AGE

    def _read(self, transport: Transport) -> None:
        self._kinds = read(transport)
        self._read_at = self._clock()


def read(transport: Transport) -> Kinds:
    """Two requests to a server with aggregated discovery (1.26 and newer), more to an older one."""
    found = _Found()
    for root in ("/api", "/apis"):
        document = _get(transport, root)
        if document.get("kind") == "APIGroupDiscoveryList":
            _aggregated(document, found)
        elif root == "/api":
            for version in document.get("versions") or []:
                _plain(transport, "", str(version), preferred=True, found=found)
        else:
            _groups(transport, document, found)
    return found.kinds()


def _get(transport: Transport, path: str) -> dict[str, Any]:
    call = Call(verb="get", resource="discovery", name=path, identity=transport.identity)
    answer = transport.send(Request(method="GET", path=path, headers={"Accept": ACCEPT}), call)
    return {} if answer.status == 404 else answer.json(call)


def _aggregated(document: Mapping[str, Any], found: _Found) -> None:
    for group in document.get("items") or []:
        name = str((group.get("metadata") or {}).get("name") or "")
        for place, version in enumerate(group.get("versions") or []):
            number = str(version.get("version"))
            if version.get("freshness") == "Stale":
                found.stale.add((name, number))
            found.types += _types(name, number, _rows(version.get("resources") or []), preferred=place == 0)


def _rows(resources: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, bool, Iterable[str]]]:
    for each in resources:
        kind = str((each.get("responseKind") or {}).get("kind") or "")
        yield str(each.get("resource")), kind, each.get("scope") == "Namespaced", each.get("verbs") or ()


def _groups(transport: Transport, document: Mapping[str, Any], found: _Found) -> None:
    for group in document.get("groups") or []:
        first = str((group.get("preferredVersion") or {}).get("version") or "")
        numbers = [str(v.get("version")) for v in group.get("versions") or []]
        for number in sorted(numbers, key=lambda n: n != first):
            try:
                _plain(transport, str(group.get("name")), number, preferred=number == first, found=found)
            except Transient:  # one broken APIService must not hide the others
                found.stale.add((str(group.get("name")), number))


def _plain(transport: Transport, group: str, version: str, *, preferred: bool, found: _Found) -> None:
    document = _get(transport, f"/apis/{group}/{version}" if group else f"/api/{version}")
    resources = document.get("resources") or []
    rows = [
        (str(r.get("name")), str(r.get("kind")), bool(r.get("namespaced")), r.get("verbs") or ())
        for r in resources
        if "/" not in str(r.get("name"))
    ]
    found.types += _types(group, version, rows, preferred=preferred)


def _types(
    group: str, version: str, rows: Iterable[tuple[str, str, bool, Iterable[str]]], *, preferred: bool
) -> list[ResourceType]:
    return [
        ResourceType(
            gvk=Gvk(group=group, version=version, kind=kind),
            plural=plural,
            namespaced=namespaced,
            verbs=frozenset(verbs),
            preferred=preferred,
        )
        for plural, kind, namespaced, verbs in rows
        if kind
    ]
