"""A cluster in memory, for tests of stages: fast, without HTTP, held to the same contract as the real ones."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from penstock.adapters.cluster import selectors
from penstock.adapters.cluster.counting import one_request
from penstock.adapters.cluster.memory_api import Change, MemoryApi
from penstock.adapters.cluster.names import path_segment
from penstock.core.errors import NotFound, PenstockError, Refused
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of
from penstock.ports.cluster import (
    FIELD_MANAGER,
    NOT_SERVED,
    ApiRefused,
    ApplyOptions,
    Page,
    RemoteCluster,
    ResourceType,
    WatchEvent,
)
from penstock.ports.identity import ServiceAccountToken

ADMIN = "admin"
PAGE = 500
LEAST_TOKEN_SECONDS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One right: verbs and kinds ("*" is all) in a namespace ("" is everywhere)."""

    user: str
    verbs: frozenset[str] = frozenset({"*"})
    kinds: frozenset[str] = frozenset({"*"})
    namespace: str = ""

    def allows(self, user: str, verb: str, kind: str, namespace: str) -> bool:
        """Whether it covers a request."""
        return (
            user == self.user
            and bool(self.verbs & {verb, "*"})
            and bool(self.kinds & {kind, "*"})
            and self.namespace in {"", namespace}
        )


@dataclass(kw_only=True, slots=True)
class Fault:
    """An error that the next ``times`` requests of a verb meet, on a kind ("*" is any)."""

    error: Callable[[], PenstockError]
    verb: str
    kind: str
    times: int


class MemoryCluster:
    """A Cluster (see the port) over a MemoryApi; ``as_user`` gives the same one as another identity.

    ``admin`` may do everything, others what ``grants`` say. ``calls`` lists (verb, Kind/namespace/name) of all
    requests, of all identities. ``longest_watch``: real seconds that a watch lasts at most, for simulated clocks.
    """

    def __init__(self, api: MemoryApi | None = None, *, user: str = ADMIN, longest_watch: float = math.inf) -> None:
        self.api = api or MemoryApi()
        self.grants: list[Grant] = [Grant(user=ADMIN)]
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str]] = []
        self._user, self._requests, self.longest_watch = user, 0, longest_watch

    def as_user(self, user: str) -> "MemoryCluster":
        """The same cluster as ``user``: its own count of requests, everything else is shared."""
        other = MemoryCluster(self.api, user=user, longest_watch=self.longest_watch)
        other.grants, other.faults, other.calls = self.grants, self.faults, self.calls
        return other

    def fail(self, error: Callable[[], PenstockError], *, verb: str, kind: str = "*", times: int = 1) -> None:
        """Lets the next ``times`` requests fail (what is left after the adapter's own retries)."""
        self.faults.append(Fault(error=error, verb=verb, kind=kind, times=times))

    def set_status(self, ref: ObjectRef, status: Manifest) -> None:
        """Plays a controller: writes an object's status. Raises NotFound where there is none."""
        with self.api.changed:
            found = self.api.read(ref)
            if found is None:
                raise NotFound(f"{ref}: there is no such object")
            del found["metadata"]["managedFields"]
            self.api.replace({**found, "status": status}, manager="controller")

    @property
    def identity(self) -> str:
        """See Cluster."""
        return self._user

    @property
    def requests(self) -> int:
        """See Cluster."""
        return self._requests

    @property
    def server_time(self) -> datetime | None:
        """See Cluster; this one has no clock, so that simulated ones hold."""
        return None

    def resource_type(self, group: str, kind: str, version: str = "") -> ResourceType | None:
        """See Cluster."""
        return self.api.find_type(group, kind, version)

    def refresh_discovery(self) -> None:
        """See Cluster: nothing is cached here."""

    def get(self, gvk: Gvk, namespace: str, name: str) -> Manifest | None:
        """See Cluster."""
        served = self.api.find_type(gvk.group, gvk.kind, gvk.version)
        if served is None:
            return None
        ref = _ref(served, namespace, name, "get")
        self._begin("get", ref)
        return self.api.read(ref)

    def list(self, gvk: Gvk, *, namespace: str = "", label_selector: str = "") -> Page:
        """See Cluster."""
        served = self._must_serve(gvk, "list")
        self._begin("list", _all(served, namespace))
        matches = selectors.parse(label_selector)
        with self.api.changed:
            found = self.api.select(gvk, namespace if served.namespaced else "")
            version = str(self.api.version)
        items = tuple(each for each in found if matches(each["metadata"].get("labels") or {}))
        for _ in range(math.ceil(len(items) / PAGE) - 1):
            self._requests += 1
            one_request()
        return Page(items=items, resource_version=version)

    def apply(self, manifest: Manifest, options: ApplyOptions) -> Manifest:
        """See Cluster."""
        self._begin("patch", self._target(manifest, "patch"))
        return self.api.apply(manifest, options)

    def create(self, manifest: Manifest) -> Manifest:
        """See Cluster."""
        self._begin("create", self._target(manifest, "create"))
        return self.api.create(manifest, manager=FIELD_MANAGER)

    def replace(self, manifest: Manifest) -> Manifest:
        """See Cluster."""
        self._begin("update", self._target(manifest, "update"))
        return self.api.replace(manifest, manager=FIELD_MANAGER)

    def replace_status(self, manifest: Manifest) -> Manifest:
        """See Cluster."""
        ref = self._target(manifest, "update")
        self._begin("update", ref)
        with self.api.changed:
            found = self.api.read(ref)
            if found is None:
                raise NotFound(f"update {ref}: it does not exist")
            given = {key: manifest["metadata"].get(key) for key in ("uid", "resourceVersion")}
            del found["metadata"]["managedFields"]
            metadata = {**found["metadata"], **{key: value for key, value in given.items() if value}}
            written = {**found, "metadata": metadata, "status": manifest.get("status") or {}}
            return self.api.replace(written, manager=FIELD_MANAGER)

    def delete(self, manifest: Manifest, *, propagation: str = "Background") -> bool:  # noqa: ARG002 - there is one way here
        """See Cluster. Dependents by ownerReferences go with it."""
        gvk = gvk_of(manifest)
        if self.api.find_type(gvk.group, gvk.kind, gvk.version) is None:
            return False
        self._begin("delete", self._target(manifest, "delete"))
        return self.api.delete(manifest)

    def watch(
        self, gvk: Gvk, *, namespace: str, resource_version: str, timeout: float, label_selector: str = ""
    ) -> Iterator[WatchEvent]:
        """See Cluster."""
        served = self._must_serve(gvk, "watch")
        self._begin("watch", _all(served, namespace))
        matches = selectors.parse(label_selector)
        seen, end = int(resource_version or 0), time.monotonic() + min(timeout, self.longest_watch)
        while True:
            with self.api.changed:
                if self.api.history and self.api.history[0].version > seen + 1 and seen:
                    return  # 410 Gone
                new = [change for change in self.api.history if change.version > seen]
                if not new and not self.api.changed.wait(max(0.0, end - time.monotonic())):
                    return
            for change in new:
                seen = change.version
                event = _event(change, gvk, namespace, matches)
                if event is not None:
                    yield copy.deepcopy(event)

    def can_i(self, verb: str, gvk: Gvk, *, namespace: str = "", name: str = "", user: str = "") -> bool:
        """See Cluster. Grants are to users, and of whole kinds."""
        self._requests += 1
        one_request()
        self.calls.append(("review", f"{verb} {gvk.kind}/{namespace}/{name} as {user or self._user}"))
        return self._allowed(user or self._user, verb, gvk.kind, namespace)

    def request_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> ServiceAccountToken:
        """See Cluster. The token says whose and for whom it is; nobody checks it. Every one is another."""
        ref = ObjectRef(group="", kind="serviceaccounts/token", namespace=namespace, name=name)
        path_segment(namespace, "metadata.namespace", f"create {ref}")
        path_segment(name, "metadata.name", f"create {ref}")
        self._begin("create", ref)
        if self.api.read(replace(ref, kind="ServiceAccount")) is None:
            raise NotFound(f'create {ref}: serviceaccounts "{name}" not found')
        if seconds < LEAST_TOKEN_SECONDS:
            problem = f"may not specify a duration less than {LEAST_TOKEN_SECONDS} seconds"
            raise ApiRefused(f"create {ref}: {problem}", code=422, causes=(("spec.expirationSeconds", problem),))
        text = f"{namespace}/{name} for {','.join(audiences)} #{len(self.calls)}"
        return ServiceAccountToken(token=text, expires=time.time() + seconds)

    def _allowed(self, user: str, verb: str, kind: str, namespace: str) -> bool:
        return any(grant.allows(user, verb, kind, namespace) for grant in self.grants)

    def _begin(self, verb: str, ref: ObjectRef) -> None:
        """Counts a request, lets a planned fault happen, checks the right."""
        self._requests += 1
        one_request()
        self.calls.append((verb, str(ref)))
        for fault in self.faults:
            if fault.times and fault.verb == verb and fault.kind in {"*", ref.kind}:
                fault.times -= 1
                raise fault.error()
        if not self._allowed(self._user, verb, ref.kind, ref.namespace):
            where = f'in the namespace "{ref.namespace}"' if ref.namespace else "at the cluster scope"
            raise Refused(f'{verb} {ref}: User "{self._user}" cannot {verb} {ref.kind} {where} (as {self._user})')

    def _must_serve(self, gvk: Gvk, verb: str) -> ResourceType:
        served = self.api.find_type(gvk.group, gvk.kind, gvk.version)
        if served is None:
            raise NotFound(f"{verb} {gvk.kind}: {NOT_SERVED} {gvk.api_version} {gvk.kind}")
        return served

    def _target(self, manifest: Manifest, verb: str) -> ObjectRef:
        served = self._must_serve(gvk_of(manifest), verb)
        metadata = manifest["metadata"]
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        return _ref(served, namespace, name, verb)


class MemoryClusters:
    """Clusters (see the port) of MemoryClusters by name; a kubeconfig is a cluster's name in bytes."""

    def __init__(self, clusters: dict[str, MemoryCluster]) -> None:
        self._clusters = clusters

    def connect(self, cluster: str, *, impersonate: str = "") -> MemoryCluster:
        """See Clusters."""
        if cluster not in self._clusters:
            raise NotFound(f"the plane has no cluster {cluster}")
        found = self._clusters[cluster]
        return found.as_user(impersonate) if impersonate else found

    def connect_kubeconfig(
        self, kubeconfig: bytes, *, name: str, impersonate: str = "", allowed_hosts: tuple[str, ...] = ()
    ) -> MemoryCluster:
        """See Clusters."""
        del allowed_hosts
        if kubeconfig.decode(errors="replace") not in self._clusters:
            raise Refused(f"{name}: not a kubeconfig")
        return self.connect(kubeconfig.decode(), impersonate=impersonate)

    def connect_remote(self, remote: RemoteCluster, *, impersonate: str = "") -> MemoryCluster:
        """See Clusters: the cluster whose name is the resource name, or the address."""
        wanted = remote.access.cluster or remote.access.address
        if wanted not in self._clusters:
            raise NotFound(f"{remote.name}: there is no cluster {wanted}")
        return self.connect(wanted, impersonate=impersonate)


def _ref(served: ResourceType, namespace: str, name: str, verb: str) -> ObjectRef:
    """The object asked for. Raises ApiRefused where its name or namespace can be no part of a path."""
    found = ObjectRef(group=served.gvk.group, kind=served.gvk.kind, namespace=namespace, name=name)
    path_segment(name, "metadata.name", f"{verb} {found}")
    if not served.namespaced:
        return replace(found, namespace="")
    path_segment(namespace, "metadata.namespace", f"{verb} {found}")
    return found


def _all(served: ResourceType, namespace: str) -> ObjectRef:
    """All objects of a kind in a namespace ("" is everywhere), as a reference without a name."""
    inside = namespace if served.namespaced else ""
    return ObjectRef(group=served.gvk.group, kind=served.gvk.kind, namespace=inside, name="")


def _event(change: Change, gvk: Gvk, namespace: str, matches: selectors.Matches) -> WatchEvent | None:
    """The change as a watch of these objects sees it: one that stops matching is deleted for it."""

    def visible(manifest: Manifest | None) -> bool:
        if manifest is None or namespace not in {"", manifest["metadata"].get("namespace", "")}:
            return False
        return matches(manifest["metadata"].get("labels") or {})

    if (change.gvk.group, change.gvk.kind) != (gvk.group, gvk.kind):
        return None
    before, after = visible(change.before), visible(change.after)
    if after:
        return WatchEvent(type="MODIFIED" if before else "ADDED", object=change.after or {})
    if before:
        gone = change.before or {}
        return WatchEvent(
            type="DELETED",
            object={**gone, "metadata": {**gone["metadata"], "resourceVersion": str(change.version)}},
        )
    return None
