"""Plane (penstock.dev/v1alpha1): which repository, which clusters, which policy. The only kind of our own.

It is what a management cluster would hold, without the cluster. Its fields for people: docs/plane.md; its JSON
Schema: docs/plane.schema.json (made by core.flux.plane_schema).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from penstock.core.errors import NotFound
from penstock.core.flux import gitrepository, kustomization
from penstock.core.flux.fields import Fields, Where, open_document
from penstock.core.flux.plane_kubeconfig import ClusterKubeConfig, read_kube_config
from penstock.core.flux.source_fields import API_VERSION as SOURCE_API_VERSION
from penstock.core.resources import Manifest
from penstock.core.secrets.services.vault import origin_of

API_VERSION = "penstock.dev/v1alpha1"
KIND = "Plane"
NAMESPACE = "flux-system"
NAME = "flux-system"
"""The plane's source is GitRepository ``flux-system/flux-system``, each root a Kustomization of that name."""

DECLARED_BY = "penstock.dev/declared-by"
"""Annotation of a root that the Plane document made; one that a repository declares doesn't have it."""

MOST_CLUSTERS = 10_000
MOST_GRACE = timedelta(hours=24)
CLUSTER_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DEFAULT_INTERVAL = "5m"
_LOGIN_PATH = r"/?[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?"
_HOST = re.compile(r"[A-Za-z0-9*]([-A-Za-z0-9.:/*]*[A-Za-z0-9])?")
_RESOURCE = re.compile(r"(?:arn:aws|/subscriptions/|projects/)[^\s*]*\*?")
_REF = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_SOURCE = re.compile(
    r"(?:GitRepository|OCIRepository|Bucket)/[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
)
_REFERENCE_FIELDS = ("branch", "tag", "semver", "name", "commit")
_GROUP_KIND = re.compile(r"[a-z0-9.-]{0,253}/[A-Z][A-Za-z0-9]{0,62}")
_LONGEST_MANAGER = 128
"""As the API server has it (apimachinery, FieldManagerMaxLength)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """``spec.source``. ``ref``: fields of a GitRepository's ``spec.ref``; ``interval`` as written (``5m``)."""

    url: str
    ref: Mapping[str, str]
    secret: str = ""
    interval: timedelta
    interval_text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SopsVault:
    """A Vault or OpenBao. ``origin``: ``scheme://host:port``; ``login_path``: where ServiceAccounts log in, or ""."""

    origin: str
    login_path: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The operator's switches: what Flux has as controller flags, and ours.

    ``allowed_hosts``: hosts, ``*.`` suffixes or CIDRs that URLs in manifests may reach though they are private;
    ``default_kube_config_service_account``: whose identity a ``kubeConfig.configMapRef`` without serviceAccountName
    takes; ``own_identity_clusters``: cluster resource names, ``*`` for what follows, that it may reach with the plane's
    own identity; ``default_decryption_service_account``: who decrypts where ``decryption`` names nobody;
    ``own_identity_decryption``: Kustomizations (``namespace/name``) that may decrypt with the plane's own identity
    though they are applied as somebody else; ``own_identity_sources``: sources (``Kind/namespace/name``) that are
    fetched with the plane's own identity; ``prune_objects``, ``prune_percent``: more deletions than both need an
    approval; ``sops_mac``: enforce | warn; ``field_validation``: Strict | Warn; ``sops_vaults``: the only Vaults that
    SOPS files may name; ``kubernetes_events``: what is news is an Event in the target cluster, too; ``stage_kinds``:
    (group, kind) of what is applied after definitions and classes, and before the rest; ``override_managers``: field
    managers (by prefix) whose fields are taken over, beside kubectl's and Flux's; ``receiver_token_grace``: for how
    long a Receiver's token is taken after another one has replaced it.
    """

    no_cross_namespace_refs: bool = False
    no_remote_bases: bool = True
    default_service_account: str = ""
    default_kube_config_service_account: str = ""
    own_identity_clusters: tuple[str, ...] = ()
    default_decryption_service_account: str = ""
    own_identity_decryption: tuple[str, ...] = ()
    own_identity_sources: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    prune_objects: int = 10
    prune_percent: int = 50
    sops_mac: str = "enforce"
    field_validation: str = "Strict"
    sops_vaults: tuple[SopsVault, ...] = ()
    kubernetes_events: bool = True
    stage_kinds: tuple[tuple[str, str], ...] = ()
    override_managers: tuple[str, ...] = ()
    receiver_token_grace: timedelta = timedelta(minutes=10)

    @property
    def drops_undeclared(self) -> bool:
        """Whether objects are applied without the fields that their kinds do not have."""
        return self.field_validation == "Warn"

    def own_identity_for(self, cluster: str) -> bool:
        """Whether a manifest may reach this cluster resource (any case: Azure's have none) as the plane itself."""
        return any(
            cluster.lower().startswith(each[:-1].lower()) if each.endswith("*") else cluster.lower() == each.lower()
            for each in self.own_identity_clusters
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaneCluster:
    """An entry of ``spec.clusters``. ``path``: inside the source, without ``.`` and ``..`` ("" is its root)."""

    name: str
    path: str
    kube_config: ClusterKubeConfig = field(default_factory=ClusterKubeConfig)
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """One Plane, defaults applied; a cluster's ``policy`` is the plane's with its own overrides."""

    name: str
    source: Source
    clusters: tuple[PlaneCluster, ...] = ()
    policy: Policy = field(default_factory=Policy)

    def cluster(self, name: str) -> PlaneCluster:
        """The cluster of that name. Raises NotFound."""
        for each in self.clusters:
            if each.name == name:
                return each
        raise NotFound(f"the plane has no cluster {name}: `penstock cluster list` shows those it has")

    def policy_for(self, name: str) -> Policy:
        """The policy that holds for a cluster; the plane's own for a name that it doesn't have."""
        return next((each.policy for each in self.clusters if each.name == name), self.policy)


def parse_plane(manifest: Manifest, *, file: str = "") -> Plane:
    """A Plane from its document; ``file`` is for messages.

    Raises InvalidDocument with the dotted path of the first field that is wrong, missing, unknown or not served yet.
    """
    top = Fields(manifest, where=Where(file=file, document=KIND))
    top.string("apiVersion", one_of=(API_VERSION,))
    top.string("kind", one_of=(KIND,))
    name = _metadata(top)
    top.nested("spec")
    top.done()
    spec, _where = open_document(manifest, file=file)
    policy = spec.optional("policy", lambda f: _policy(f, Policy())) or Policy()
    source = spec.optional("source", _source)
    if source is None:
        raise spec.error("source", "is required: the Git repository that holds the clusters' manifests")
    clusters = spec.each("clusters", lambda f: _cluster(f, policy))
    _no_doubles(spec, clusters)
    spec.done()
    return Plane(name=name, source=source, clusters=clusters, policy=policy)


def plane_source_document(plane: Plane) -> Manifest:
    """The plane's source as the GitRepository ``flux-system/flux-system`` that Flux users know."""
    spec: dict[str, Any] = {
        "interval": plane.source.interval_text,
        "ref": dict(plane.source.ref),
        "url": plane.source.url,
    }
    if plane.source.secret:
        spec["secretRef"] = {"name": plane.source.secret}
    return _document(SOURCE_API_VERSION, gitrepository.KIND, spec)


def root_kustomization(plane: Plane, cluster: PlaneCluster) -> Manifest:
    """The Kustomization ``flux-system/flux-system`` of a cluster: from its path, everything else follows."""
    spec = {
        "interval": plane.source.interval_text,
        "path": f"./{cluster.path}",
        "prune": True,
        "sourceRef": {"kind": gitrepository.KIND, "name": NAME},
    }
    root = _document(kustomization.API_VERSION, kustomization.KIND, spec)
    root["metadata"]["annotations"] = {DECLARED_BY: KIND}
    return root


def _document(api_version: str, kind: str, spec: dict[str, Any]) -> Manifest:
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _metadata(top: Fields) -> str:
    metadata = top.nested("metadata")
    name = metadata.name("name")
    metadata.string_map("labels")
    metadata.string_map("annotations")
    metadata.done()
    return name


def _source(fields: Fields) -> Source:
    url = fields.string("url", longest=2048)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ssh") or not parts.hostname:
        raise fields.error("url", f"is {url!r}, must be an http, https or ssh URL of a Git repository")
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise fields.error("url", "holds credentials: put them into a secret and name it in secretRef")
    ref = fields.optional("ref", _reference)
    text = fields.string("interval", default=_DEFAULT_INTERVAL)
    return Source(
        url=url,
        ref=ref or {"branch": "main"},
        secret=fields.optional("secretRef", lambda f: f.name("name")) or "",
        interval=fields.duration("interval", default=timedelta(minutes=5)),
        interval_text=text,
    )


def _reference(fields: Fields) -> dict[str, str]:
    return {name: value for name in _REFERENCE_FIELDS if (value := fields.string(name, default="", longest=1024))}


def _cluster(fields: Fields, policy: Policy) -> PlaneCluster:
    path = fields.string("path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise fields.error("path", f"is {path!r}, must be a path inside the source, such as clusters/production")
    return PlaneCluster(
        name=fields.string("name", pattern=CLUSTER_NAME, longest=63),
        path="/".join(parts),
        kube_config=fields.optional("kubeConfig", read_kube_config) or ClusterKubeConfig(),
        region=fields.string("region", default="", longest=63),
        labels=fields.string_map("labels"),
        policy=fields.optional("policy", lambda f: _policy(f, policy)) or policy,
    )


def _policy(fields: Fields, base: Policy) -> Policy:
    limits = fields.optional("prune", lambda f: _limits(f, base)) or (base.prune_objects, base.prune_percent)
    return Policy(
        no_cross_namespace_refs=fields.boolean("noCrossNamespaceRefs", default=base.no_cross_namespace_refs),
        no_remote_bases=fields.boolean("noRemoteBases", default=base.no_remote_bases),
        default_service_account=fields.name("defaultServiceAccount", default=base.default_service_account),
        default_kube_config_service_account=fields.name(
            "defaultKubeConfigServiceAccount", default=base.default_kube_config_service_account
        ),
        own_identity_clusters=_resources(fields, base),
        default_decryption_service_account=fields.name(
            "defaultDecryptionServiceAccount", default=base.default_decryption_service_account
        ),
        own_identity_decryption=_kustomizations(fields, base),
        own_identity_sources=_sources(fields, base),
        allowed_hosts=_hosts(fields) if fields.raw("allowedHosts") is not None else base.allowed_hosts,
        prune_objects=limits[0],
        prune_percent=limits[1],
        sops_mac=fields.string("sopsMac", default=base.sops_mac, one_of=("enforce", "warn")),
        field_validation=fields.string("fieldValidation", default=base.field_validation, one_of=("Strict", "Warn")),
        sops_vaults=fields.each("sopsVaults", _vault) if fields.raw("sopsVaults") is not None else base.sops_vaults,
        kubernetes_events=fields.boolean("kubernetesEvents", default=base.kubernetes_events),
        stage_kinds=_stage_kinds(fields, base),
        override_managers=_managers(fields, base),
        receiver_token_grace=_grace(fields, base),
    )


def _grace(fields: Fields, base: Policy) -> timedelta:
    grace = fields.duration("receiverTokenGrace", default=base.receiver_token_grace)
    if grace > MOST_GRACE:
        raise fields.error("receiverTokenGrace", "is more than a day (24h): a token that leaked is taken as long")
    return grace


def _stage_kinds(fields: Fields, base: Policy) -> tuple[tuple[str, str], ...]:
    """As the flag of Flux's kustomize-controller: ``group/Kind``, ``/Kind`` for the core group."""
    if fields.raw("customApplyStageKinds") is None:
        return base.stage_kinds
    named = fields.strings("customApplyStageKinds")
    for index, each in enumerate(named):
        if not _GROUP_KIND.fullmatch(each):
            problem = f"is {each!r}, must be group/Kind, such as redpanda.vectorized.io/Cluster"
            raise fields.error(f"customApplyStageKinds[{index}]", problem)
    return tuple((each.partition("/")[0], each.partition("/")[2]) for each in named)


def _managers(fields: Fields, base: Policy) -> tuple[str, ...]:
    """As the flag ``--override-manager`` of Flux's kustomize-controller, given once for each."""
    if fields.raw("overrideManagers") is None:
        return base.override_managers
    named = fields.strings("overrideManagers")
    for index, each in enumerate(named):
        if not 0 < len(each) <= _LONGEST_MANAGER:
            problem = f"is {each!r}, must be the name of a field manager, or how such names begin (helm)"
            raise fields.error(f"overrideManagers[{index}]", problem)
    return named


def _limits(fields: Fields, base: Policy) -> tuple[int, int]:
    objects = fields.integer("objects", default=base.prune_objects)
    return objects, fields.integer("percent", default=base.prune_percent, most=100)


def _resources(fields: Fields, base: Policy) -> tuple[str, ...]:
    if fields.raw("ownIdentityClusters") is None:
        return base.own_identity_clusters
    names = fields.strings("ownIdentityClusters")
    for index, name in enumerate(names):
        if len(name) > 1024 or not _RESOURCE.fullmatch(name):
            problem = f"is {name!r}, must be a cluster's resource name in its cloud; * may stand at its end"
            raise fields.error(f"ownIdentityClusters[{index}]", problem)
    return names


def _kustomizations(fields: Fields, base: Policy) -> tuple[str, ...]:
    if fields.raw("ownIdentityDecryption") is None:
        return base.own_identity_decryption
    refs = fields.strings("ownIdentityDecryption")
    for index, ref in enumerate(refs):
        if len(ref) > 317 or not _REF.fullmatch(ref):
            raise fields.error(
                f"ownIdentityDecryption[{index}]", f"is {ref!r}, must be a Kustomization's NAMESPACE/NAME"
            )
    return refs


def _sources(fields: Fields, base: Policy) -> tuple[str, ...]:
    if fields.raw("ownIdentitySources") is None:
        return base.own_identity_sources
    refs = fields.strings("ownIdentitySources")
    for index, ref in enumerate(refs):
        if len(ref) > 340 or not _SOURCE.fullmatch(ref):
            problem = f"is {ref!r}, must be KIND/NAMESPACE/NAME of a GitRepository, OCIRepository or Bucket"
            raise fields.error(f"ownIdentitySources[{index}]", problem)
    return refs


def _hosts(fields: Fields) -> tuple[str, ...]:
    hosts = fields.strings("allowedHosts")
    for index, host in enumerate(hosts):
        if len(host) > 253 or not _HOST.fullmatch(host):
            problem = f"is {host!r}, must be a host (git.example.com, *.example.com) or a CIDR (10.0.0.0/8)"
            raise fields.error(f"allowedHosts[{index}]", problem)
    return hosts


def _vault(fields: Fields) -> SopsVault:
    address = fields.string("address", longest=2048)
    origin = origin_of(address)
    if not origin:
        raise fields.error("address", f"is {address!r}, must be like https://vault.example.com:8200, without a path")
    return SopsVault(
        origin=origin,
        login_path=fields.string("loginPath", default="", pattern=rf"(?:{_LOGIN_PATH})?", longest=512).strip("/"),
    )


def _no_doubles(spec: Fields, clusters: tuple[PlaneCluster, ...]) -> None:
    if len(clusters) > MOST_CLUSTERS:
        raise spec.error("clusters", f"has {len(clusters)} entries, at most {MOST_CLUSTERS} are allowed")
    seen: set[str] = set()
    for index, each in enumerate(clusters):
        if each.name in seen:
            raise spec.error(f"clusters[{index}].name", f"is {each.name!r}, which another cluster has already")
        seen.add(each.name)
    for index, each in enumerate(clusters):
        _account_of_another(spec, f"clusters[{index}].kubeConfig.serviceAccount.cluster", each, clusters)


def _account_of_another(spec: Fields, path: str, cluster: PlaneCluster, clusters: tuple[PlaneCluster, ...]) -> None:
    """The cluster whose ServiceAccount is taken is reached in a way of its own: there are no chains, and no rings."""
    account = cluster.kube_config.account
    if account is None:
        return
    home = next((each for each in clusters if each.name == account.cluster), None)
    if home is None:
        raise spec.error(path, f"is {account.cluster!r}, which is no cluster of this Plane")
    if home.kube_config.account is not None:
        raise spec.error(path, f"is {account.cluster!r}, which is itself reached by a serviceAccount")
