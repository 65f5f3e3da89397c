"""``spec.clusters[].kubeConfig`` of a Plane: how the operator says that a cluster is reached.

A kubeconfig (a file, or a secret of the plane's own store), or a cloud's cluster in the words of Flux'
``kubeConfig.configMapRef``: then the plane presents its own identity, or a ServiceAccount's of another cluster.
"""

from dataclasses import dataclass

from penstock.core.clusters.access import ClusterAccess, read_access
from penstock.core.flux.fields import Fields

AUTHORITY = "caData"
_KUBECONFIG = ("path", "context", "secretRef")
_IDENTITY = ("cluster", "address", AUTHORITY, "audiences", "serviceAccount", "tokenPath")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRef:
    """A ServiceAccount of a cluster of the Plane (``cluster`` is its name there)."""

    cluster: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterKubeConfig:
    """An operator's word, trusted.

    A file (``path``) or a secret of the plane's own store, and a context: all "" means what kubectl would use. Or
    ``access``, with the identity of ``account``, the token in the file ``token_path``, or the plane's own.
    """

    path: str = ""
    context: str = ""
    secret: str = ""
    key: str = "value"
    access: ClusterAccess | None = None
    account: AccountRef | None = None
    token_path: str = ""

    @property
    def gke(self) -> str:
        """The resource name of a GKE cluster (``projects/…/locations/…/clusters/…``); "" where it is no such."""
        access = self.access
        is_gke = access is not None and access.provider == "gcp" and "/clusters/" in access.cluster
        return access.cluster if access is not None and is_gke else ""


def read_kube_config(fields: Fields) -> ClusterKubeConfig:
    """The word in ``fields``; the caller calls done(). Raises InvalidDocument."""
    if fields.raw("provider") is not None:
        return _by_identity(fields)
    for name in _IDENTITY:
        if fields.raw(name) is not None:
            raise fields.error(name, "needs a provider (aws, azure, gcp, generic)")
    secret = fields.optional("secretRef", lambda f: (f.name("name"), f.string("key", default="value")))
    path = fields.string("path", default="", longest=4096)
    if secret is not None and path:
        raise fields.error("", "has a path and a secretRef: give one of them")
    name, key = secret or ("", "value")
    context = fields.string("context", default="", longest=1024)
    return ClusterKubeConfig(path=path, context=context, secret=name, key=key)


def _by_identity(fields: Fields) -> ClusterKubeConfig:
    for name in _KUBECONFIG:
        if fields.raw(name) is not None:
            raise fields.error(name, "stands beside a provider: give a kubeconfig or a provider")
    access = read_access(fields, authority=AUTHORITY, audiences=fields.strings("audiences"))
    account = fields.optional("serviceAccount", _account)
    token_path = fields.string("tokenPath", default="", longest=4096)
    if account is not None and token_path:
        raise fields.error("", "has a serviceAccount and a tokenPath: give one of them")
    if access.provider != "generic" and token_path:
        raise fields.error("tokenPath", f"is for provider generic; {access.provider} takes its own credentials only")
    if access.provider == "generic" and account is None and not token_path:
        raise fields.error("", "needs a serviceAccount or a tokenPath: whose token is presented?")
    return ClusterKubeConfig(access=access, account=account, token_path=token_path)


def _account(fields: Fields) -> AccountRef:
    return AccountRef(
        cluster=fields.string("cluster", longest=63),
        namespace=fields.name("namespace"),
        name=fields.name("name"),
    )
