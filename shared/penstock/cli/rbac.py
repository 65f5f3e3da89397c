"""What ``penstock cluster add NAME --print-rbac`` prints: an identity for the plane in a cluster, and its rights.

Kubernetes RBAC (https://kubernetes.io/docs/reference/access-authn-authz/rbac/). Each rule says what needs it; that no
right is missing and none is idle is held by the API server's audit log (tests/flow/test_rights_real.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from penstock.core.errors import Terminal
from penstock.core.flux.plane import NAMESPACE as FLUX_SYSTEM
from penstock.core.reconcile.inventory import NAMESPACE

PROFILES = ("admin", "tenant", "plan-only", "migrate", "uninstall")
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule of a role, and why it is there. ``names``: resourceNames, () for all."""

    why: str
    group: str = ""
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """As an item of ``rules``, its comment before it."""
        yield f"  # {self.why}"
        yield f'  - apiGroups: ["{self.group}"]'
        yield f'    resources: ["{self.resource}"]'
        if self.names:
            yield f"    resourceNames: [{', '.join(self.names)}]"
        yield f"    verbs: [{', '.join(self.verbs)}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A service account that the plane may act as; ``namespace`` "" means the one of that name in every namespace."""

    name: str
    namespace: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """``cluster``: its name in the Plane; ``profile``: of PROFILES; ``accounts``: for ``tenant``."""

    cluster: str
    profile: str
    accounts: tuple[Account, ...] = field(default=())

    @property
    def identity(self) -> str:
        """The ServiceAccount's name in penstock-system: another one for each profile, so that no rights add up."""
        return f"penstock-{self.profile}"


def account(text: str) -> Account:
    """``NAMESPACE/NAME`` or ``NAME``. Raises Terminal."""
    namespace, _, name = text.rpartition("/")
    if not name or "/" in namespace or text.startswith("/"):
        raise Terminal(f"--account {text}: must be NAMESPACE/NAME, or NAME for that account of every namespace")
    return Account(name=name, namespace=namespace)


def manifests(wanted: Wanted) -> str:
    """YAML for ``kubectl apply -f -``. Raises Terminal for a tenant's plane without an account to act as."""
    if wanted.profile == "tenant" and not wanted.accounts:
        raise Terminal(
            "--print-rbac=tenant needs the accounts that your Kustomizations name: --account NAMESPACE/NAME, or "
            "--account NAME for policy.defaultServiceAccount. (Whoever may act as every account may do everything.)"
        )
    if wanted.profile != "tenant" and wanted.accounts:
        raise Terminal(f"--account goes with --print-rbac=tenant, not with {wanted.profile}")
    identity = _metadata("v1", "ServiceAccount", wanted.identity, NAMESPACE)
    documents = (_NAMESPACE, identity, *_PARTS[wanted.profile](wanted))
    return "\n".join(("\n---\n".join((_INTRODUCTIONS[wanted.profile], *documents)), _kubeconfig(wanted), ""))


_INTRODUCTIONS = {
    "admin": """\
# For a plane that may apply whatever its repository holds: cluster-admin, as Flux's kustomize-controller has it.
# A role of our own with "*" on "*" would be the same right under a name that audits do not look for. Narrower:
# --print-rbac=tenant, where each Kustomization acts as an account of its own.""",
    "tenant": """\
# For a plane that applies nothing as itself: each Kustomization acts as the account that it names (or
# policy.defaultServiceAccount), with that account's rights. The cluster's own path may then hold Flux objects only.""",
    "plan-only": """\
# For `penstock plan`: reads, and nothing else. Without the right to patch, the API server cannot be asked for
# dry-runs, so a plan compares by itself, and says so. Secrets are read (RBAC knows no "all but Secrets"); their
# values are compared, and never shown.""",
    "migrate": """\
# For `penstock migrate`, there and back, and only for as long as that takes: who may update every object (its managers
# stand in its metadata, for which RBAC has no right of its own) is an administrator. Delete the bindings then.""",
    "uninstall": """\
# For `penstock uninstall`. Without --delete-workloads leave out ClusterRole penstock-delete-workloads and its binding.
# Delete all of it afterwards.""",
}
_NAMESPACE = f"""\
# The inventories and Leases of the plane stand here, next to what they describe; nobody else should write to it.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/managed-by: penstock"""


def _admin(wanted: Wanted) -> list[str]:
    return [_binding(wanted, "ClusterRole/cluster-admin", "penstock-admin")]


def _tenant(wanted: Wanted) -> list[str]:
    everywhere = tuple(each.name for each in wanted.accounts if not each.namespace)
    cluster_wide = [*_CLUSTER_WIDE, *([_impersonate(everywhere)] if everywhere else ())]
    namespaces = sorted({each.namespace for each in wanted.accounts if each.namespace})
    found = [
        _role("Role", "penstock-inventory", _OWN, NAMESPACE),
        _binding(wanted, "Role/penstock-inventory", namespace=NAMESPACE),
        _role("ClusterRole", "penstock-tenant", cluster_wide),
        _binding(wanted, "ClusterRole/penstock-tenant"),
        _role("ClusterRole", "penstock-credentials", _SECRETS),
    ]
    found += [
        _binding(wanted, "ClusterRole/penstock-credentials", namespace=each)
        for each in sorted({FLUX_SYSTEM, *namespaces})
    ]
    for namespace in namespaces:
        names = tuple(each.name for each in wanted.accounts if each.namespace == namespace)
        found.append(_role("Role", "penstock-impersonate", [_impersonate(names)], namespace))
        found.append(_binding(wanted, "Role/penstock-impersonate", namespace=namespace))
    return found


def _plan_only(wanted: Wanted) -> list[str]:
    return [_role("ClusterRole", "penstock-plan-only", _READ), _binding(wanted, "ClusterRole/penstock-plan-only")]


def _migrate(wanted: Wanted) -> list[str]:
    return [
        _role("Role", "penstock-migrate", _MOVED, NAMESPACE),
        _binding(wanted, "Role/penstock-migrate", namespace=NAMESPACE),
        _role("ClusterRole", "penstock-migrate", (*_READ, *_MOVING)),
        _binding(wanted, "ClusterRole/penstock-migrate"),
    ]


def _uninstall(wanted: Wanted) -> list[str]:
    return [
        _role("Role", "penstock-uninstall", _LEFT, NAMESPACE),
        _binding(wanted, "Role/penstock-uninstall", namespace=NAMESPACE),
        _role("ClusterRole", "penstock-uninstall", _LEAVING),
        _binding(wanted, "ClusterRole/penstock-uninstall"),
        _role("ClusterRole", "penstock-delete-workloads", _WORKLOADS),
        _binding(wanted, "ClusterRole/penstock-delete-workloads"),
    ]


_PARTS = {
    "admin": _admin,
    "tenant": _tenant,
    "plan-only": _plan_only,
    "migrate": _migrate,
    "uninstall": _uninstall,
}
_OWN = (
    Rule(
        why="inventories: what each Kustomization has applied",
        resource="configmaps",
        verbs=("get", "list", "create", "update", "delete"),
    ),
    Rule(
        why="what is news about a Kustomization (unless policy.kubernetesEvents is false)",
        resource="events",
        verbs=("get", "create", "update"),
    ),
    Rule(
        why="one run of a Kustomization at a time",
        group="coordination.k8s.io",
        resource="leases",
        verbs=("get", "create", "update", "delete"),
    ),
)
_CLUSTER_WIDE = (
    Rule(
        why="may the account of a Kustomization create the Flux objects that its render holds?",
        group="authorization.k8s.io",
        resource="subjectaccessreviews",
        verbs=("create",),
    ),
    Rule(
        why="keep away where Flux reconciles the same Kustomization (asked where Flux's API is served)",
        group="kustomize.toolkit.fluxcd.io",
        resource="kustomizations",
        verbs=("get",),
    ),
    Rule(
        why="tell objects that are gone with their kind from those whose API server is away for a while",
        group="apiregistration.k8s.io",
        resource="apiservices",
        verbs=("get",),
    ),
    Rule(
        why="say so where a Kustomization names an account that does not exist",
        resource="serviceaccounts",
        verbs=("get",),
    ),
)
_SECRETS = (
    Rule(
        why="what Receivers, Providers, sources, spec.decryption and spec.kubeConfig of a namespace refer to; bind it\n"
        "  # in every namespace that has such objects",
        resource="secrets",
        verbs=("get",),
    ),
)
_MOVED = (
    Rule(
        why="inventories: what Flux has applied, and the plane from now on",
        resource="configmaps",
        verbs=("create", "delete"),
    ),
    Rule(
        why="no run of the plane while something changes hands",
        group="coordination.k8s.io",
        resource="leases",
        verbs=("create", "delete"),
    ),
)
_MOVING = (
    Rule(
        why="who manages the fields of an object; suspending Flux's Kustomizations, and their status.inventory",
        group="*",
        resource="*",
        verbs=("update",),
    ),
    *(
        Rule(why=f"back to Flux: {what} as Git has them now", group=group, resource="*", verbs=("create", "patch"))
        for group, what in (
            ("kustomize.toolkit.fluxcd.io", "Kustomizations"),
            ("source.toolkit.fluxcd.io", "sources"),
            ("source.extensions.fluxcd.io", "ArtifactGenerators"),
            ("notification.toolkit.fluxcd.io", "Receivers, Providers and Alerts"),
        )
    ),
)
_LEFT = (
    Rule(why="inventories", resource="configmaps", verbs=("get", "list", "delete")),
    Rule(
        why="no run of the plane meanwhile",
        group="coordination.k8s.io",
        resource="leases",
        verbs=("get", "list", "create", "update", "delete"),
    ),
    Rule(why="is anything else in this namespace?", resource="secrets", verbs=("list",)),
)
_LEAVING = (
    Rule(
        why="the namespace goes with what was in it", resource="namespaces", verbs=("get", "delete"), names=(NAMESPACE,)
    ),
    Rule(why="clusters that a spec.kubeConfig leads to", resource="secrets", verbs=("get",)),
    Rule(why="clusters that a spec.kubeConfig leads to", resource="configmaps", verbs=("get",)),
)
_WORKLOADS = (Rule(why="with --delete-workloads alone", group="*", resource="*", verbs=("get", "list", "delete")),)
_READ = (Rule(why="the live state of whatever is rendered", group="*", resource="*", verbs=("get", "list")),)


def _impersonate(names: Sequence[str]) -> Rule:
    return Rule(
        why="act as these accounts, and no others",
        resource="serviceaccounts",
        names=tuple(sorted(names)),
        verbs=("impersonate",),
    )


def _metadata(api_version: str, kind: str, name: str, namespace: str = "") -> str:
    where = f"\n  namespace: {namespace}" if namespace else ""
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}{where}"


def _role(kind: str, name: str, rules: Sequence[Rule], namespace: str = "") -> str:
    lines = (line for rule in rules for line in rule.lines())
    return "\n".join((_metadata(f"{_RBAC}/v1", kind, name, namespace), "rules:", *lines))


def _binding(wanted: Wanted, role: str, name: str = "", namespace: str = "") -> str:
    """``role``: Kind/name. Without a ``name`` the binding has the role's; without a namespace it is the cluster's."""
    kind, _, target = role.partition("/")
    binding = "RoleBinding" if namespace else "ClusterRoleBinding"
    return f"""\
{_metadata(f"{_RBAC}/v1", binding, name or target, namespace)}
roleRef:
  apiGroup: {_RBAC}
  kind: {kind}
  name: {target}
subjects:
  - kind: ServiceAccount
    name: {wanted.identity}
    namespace: {NAMESPACE}"""


_USES = {
    "admin": "penstock cluster add {cluster} --path PATH",
    "plan-only": "penstock plan --source . --path PATH",
    "migrate": "penstock migrate from-flux --cluster {cluster}",
    "uninstall": "penstock uninstall --cluster {cluster}",
}
_VIEW = "kubectl config view --minify"
_KUBECONFIG = """\
umask 077
server=$({view} -o jsonpath='{{.clusters[0].cluster.server}}')
ca=$({view} --raw --flatten -o jsonpath='{{.clusters[0].cluster.certificate-authority-data}}')
token=$(kubectl create token {identity} -n {namespace} --duration 2160h)
cat > {cluster}.kubeconfig <<EOF
apiVersion: v1
kind: Config
clusters:
  - name: {cluster}
    cluster:
      server: $server
      certificate-authority-data: $ca
users:
  - name: {identity}
    user:
      token: $token
contexts:
  - name: {cluster}
    context:
      cluster: {cluster}
      user: {identity}
current-context: {cluster}
EOF"""


def _kubeconfig(wanted: Wanted) -> str:
    """The commands that make a kubeconfig for this identity, as comments."""
    commands = _KUBECONFIG.format(cluster=wanted.cluster, identity=wanted.identity, namespace=NAMESPACE, view=_VIEW)
    use = (
        f"{_USES.get(wanted.profile, _USES['admin']).format(cluster=wanted.cluster)} "
        f"--kubeconfig {wanted.cluster}.kubeconfig"
    )
    told = (
        "",
        "The namespaces that stand above must exist. Then make a kubeconfig with that account's token (the API server",
        "may shorten how long it lasts: make a new one before it ends):",
        "",
        *(f"  {line}" for line in commands.splitlines()),
        f"  {use}",
    )
    return "\n".join(f"# {line}".rstrip() for line in told)
