"""The cluster port: one Kubernetes API server, as one identity.

Errors of every call: ``Transient`` (429, 5xx, timeouts, cut connections, after the adapter's own retries; carries
Retry-After), ``Conflict`` (409 on a precondition or a stale resourceVersion), ``NotFound`` where a call says so,
``Refused`` (401, 403; the message names verb, resource, namespace and identity, reason ``AccessDenied``), and
``ApiRefused`` (400, 422 and other 4xx: the API server's own message).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from penstock.core.clusters.access import ClusterAccess
from penstock.core.errors import Terminal
from penstock.core.resources import Gvk, Manifest
from penstock.ports.identity import Account, ServiceAccountToken

FIELD_MANAGER = "penstock"
NOT_SERVED = "the cluster does not serve"
"""In the message of a NotFound: it is the kind that is missing, not an object."""


_IMMUTABLE = (
    "immutable",
    "updates to statefulset spec for fields other than",
    "may not change once set",
    "cannot change roleRef",
    "may not be changed in an update",
    "pod updates may not change fields",
)


class ApiRefused(Terminal):
    """The API server refused an object (400, 422, …). ``code``: HTTP status; ``causes``: (field, message) pairs."""

    def __init__(self, message: str, *, code: int, causes: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.code, self.causes = code, causes

    @property
    def immutable(self) -> bool:
        """Whether the refusal says that a field is immutable (in one of the API server's many ways to say so)."""
        texts = (str(self), *(message for _, message in self.causes))
        return self.code == 422 and any(phrase in text for text in texts for phrase in _IMMUTABLE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceType:
    """One served kind, from aggregated discovery. ``preferred``: its version is the group's preferred one."""

    gvk: Gvk
    plural: str
    namespaced: bool
    verbs: frozenset[str]
    preferred: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """All items of a LIST (the adapter follows ``continue``). ``resource_version``: where a watch starts."""

    items: tuple[Manifest, ...]
    resource_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchEvent:
    """``type``: ADDED | MODIFIED | DELETED | BOOKMARK."""

    type: str
    object: Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplyOptions:
    """How a server-side apply is made.

    ``dry_run``: all admission runs, nothing is stored. ``force``: take fields from other managers.
    ``field_validation``: Strict | Warn | Ignore.
    """

    dry_run: bool = False
    force: bool = True
    field_manager: str = FIELD_MANAGER
    field_validation: str = "Strict"


class Cluster(Protocol):
    """One API server as one identity. Manifests go in and come out as plain dicts; none is changed in place."""

    @property
    def identity(self) -> str:
        """Who we are there, for messages (``system:serviceaccount:ns:name`` where impersonating)."""

    @property
    def requests(self) -> int:
        """How many HTTP requests this connection has sent so far (retries included)."""

    @property
    def server_time(self) -> datetime | None:
        """The API server's own time, as its newest answer gave it (whole seconds, UTC); None before the first.

        Leases go by it: the clocks of functions on many machines do not agree.
        """

    def resource_type(self, group: str, kind: str, version: str = "") -> ResourceType | None:
        """The served type (of ``version``, or the preferred one); None where it is not served.

        Discovery is cached; an unknown kind is looked up afresh once per call of ``refresh_discovery``.
        """

    def refresh_discovery(self) -> None:
        """Forget the cached discovery (after CRDs were applied)."""

    def get(self, gvk: Gvk, namespace: str, name: str) -> Manifest | None:
        """The live object, or None. A kind that is not served is None too."""

    def list(self, gvk: Gvk, *, namespace: str = "", label_selector: str = "") -> Page:
        """Every object of a kind (in all namespaces when ``namespace`` is "").

        Raises NotFound where the kind is not served. That it is Refused may be some minutes old: callers then ask for
        less, and need not be told anew each time.
        """

    def apply(self, manifest: Manifest, options: ApplyOptions) -> Manifest:
        """Server-side apply; the object as the server has (or would have) it.

        ``metadata.resourceVersion``/``metadata.uid`` in the manifest are preconditions (Conflict when they
        don't hold). Raises NotFound where the kind or the namespace does not exist.
        """

    def create(self, manifest: Manifest) -> Manifest:
        """Plain POST. Raises Conflict where it exists."""

    def replace(self, manifest: Manifest) -> Manifest:
        """Plain PUT; metadata.resourceVersion is the compare-and-swap. Raises Conflict, NotFound.

        metadata.managedFields, where the manifest has them, become the object's: how fields change hands.
        """

    def replace_status(self, manifest: Manifest) -> Manifest:
        """PUT of the status subresource: ``status`` alone is written; see ``replace``.

        Raises NotFound, too, where the kind has no such subresource.
        """

    def delete(self, manifest: Manifest, *, propagation: str = "Background") -> bool:
        """Delete the object with the manifest's uid and resourceVersion (where set) as preconditions.

        False where it is already gone. Raises Conflict where a precondition fails.
        """

    def watch(
        self, gvk: Gvk, *, namespace: str, resource_version: str, timeout: float, label_selector: str = ""
    ) -> Iterator[WatchEvent]:
        """Changes after ``resource_version`` for at most ``timeout`` seconds. Ends early on 410 Gone."""

    def can_i(self, verb: str, gvk: Gvk, *, namespace: str = "", name: str = "", user: str = "") -> bool:
        """SelfSubjectAccessReview, or a SubjectAccessReview for ``user``. ``*`` as verb, group and kind: all of them.

        ``name``: of one object; "" asks for all of the kind. A yes about ourselves may be some minutes old.
        """

    def request_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> ServiceAccountToken:
        """TokenRequest: a token of a ServiceAccount for ``audiences`` (none: the API server's own).

        ``seconds``: at least 600; the API server may give another time. Raises NotFound where there is no such account.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteCluster:
    """A cluster that is reached by an identity. ``name``: where that stands (``ConfigMap/apps/prod``), for messages.

    ``account``: whose identity is taken, None for the plane's own; ``allowed_hosts``: where a manifest says all this,
    what it may reach though it is private (``policy.allowedHosts``); None where the operator says it.
    """

    access: ClusterAccess
    name: str = field(compare=False)
    account: Account | None = None
    allowed_hosts: tuple[str, ...] | None = None


class Clusters(Protocol):
    """Makes connections. Connections are cached per (cluster, impersonated account) within a process."""

    def connect(self, cluster: str, *, impersonate: str = "") -> Cluster:
        """A connection to a cluster of the Plane; ``impersonate``: ``system:serviceaccount:ns:name`` or "".

        Raises NotFound where the plane has no such cluster, Terminal where its kubeconfig is unusable.
        """

    def connect_kubeconfig(
        self, kubeconfig: bytes, *, name: str, impersonate: str = "", allowed_hosts: tuple[str, ...] = ()
    ) -> Cluster:
        """A connection by a kubeconfig that came from a manifest's Secret: NOT trusted.

        exec, auth-provider, file paths and proxy-url are Refused, naming the field; so are, when it is used, addresses
        that the plane may not be led to. ``allowed_hosts``: those that it may (``policy.allowedHosts``).
        """

    def connect_remote(self, remote: RemoteCluster, *, impersonate: str = "") -> Cluster:
        """A connection by an identity; its tokens are renewed before they end, and after a 401.

        Raises what ports/identity.py raises, InvalidDocument where the cloud knows no such address.
        """
