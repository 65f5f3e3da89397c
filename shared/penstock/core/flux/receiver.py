"""Receiver (notification.toolkit.fluxcd.io): which webhook wakes which objects, and the index that finds it.

Spec: Flux's docs/spec/v1/receivers.md. Every field of v1 is parsed; ``problems`` says what a Receiver asks for that
is not served, so that its status names it instead of ignoring it. ``index_entry`` is what the webhook reads: it
holds no secret, only the name of one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from penstock.core.flux.fields import Fields, Where, open_document
from penstock.core.records import ReceiverRecord
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.core.webhooks.filters import FILTERS, filter_problem

API_GROUP = "notification.toolkit.fluxcd.io"
API_VERSION = f"{API_GROUP}/v1"
KIND = "Receiver"
TYPES = (
    *("generic", "generic-hmac", "generic-oidc", "github", "gitlab", "bitbucket", "harbor", "dockerhub", "quay"),
    *("gcr", "nexus", "acr", "cdevents"),
)
SERVED_TYPES = frozenset({"github"})
"""Types with a module in core.webhooks."""

SOURCE_KINDS = frozenset(
    {"GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart", "ArtifactGenerator"}
)
"""Kinds that a webhook wakes by SourceChanged."""

WOKEN_KINDS = SOURCE_KINDS | {"Kustomization"}
EVERY = "*"
_OLD_API_VERSIONS = (f"{API_GROUP}/v1beta1", f"{API_GROUP}/v1beta2")
_KIND_PATTERN = r"[A-Z][A-Za-z0-9]*"
_OIDC = "generic-oidc"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectSelector:
    """Flux's CrossNamespaceObjectReference, namespace filled in. ``name``: exact or ``*``; no labels: ``{}``."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    api_version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverResource:
    """An entry of ``spec.resources``. ``filter``: CEL, or ""."""

    target: ObjectSelector
    filter: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OidcProvider:
    """An entry of ``spec.oidcProviders``. ``variables`` are (name, CEL), ``validations`` (CEL, message) pairs."""

    issuer: str
    audience: str = "notification-controller"
    variables: tuple[tuple[str, str], ...] = ()
    validations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiver:
    """One Receiver, defaults applied. ``secret``: name of the Secret with the token, "" for generic-oidc alone.

    ``events``: as written (compared without regard to case); empty means all. ``warnings``: sentences for people.
    """

    name: str
    namespace: str
    type: str
    events: tuple[str, ...] = ()
    resources: tuple[ReceiverResource, ...] = ()
    resource_filter: str = ""
    secret: str = ""
    oidc_providers: tuple[OidcProvider, ...] = ()
    interval: timedelta = timedelta(minutes=10)
    suspend: bool = False
    warnings: tuple[str, ...] = ()


def parse_receiver(manifest: Manifest, *, file: str = "") -> Receiver:
    """The Receiver of a manifest that has apiVersion, kind and metadata. Raises InvalidDocument."""
    spec, where = open_document(manifest, file=file)
    ref = ref_of(manifest)
    kind = spec.string("type", one_of=TYPES)
    receiver = Receiver(
        name=ref.name,
        namespace=ref.namespace,
        type=kind,
        events=spec.strings("events"),
        resources=spec.each("resources", lambda each: _resource(each, ref.namespace)),
        resource_filter=spec.string("resourceFilter", default=""),
        secret=_secret(spec, kind),
        oidc_providers=spec.each("oidcProviders", _oidc_provider),
        interval=spec.duration("interval", default=timedelta(minutes=10)),
        suspend=spec.boolean("suspend", default=False),
        warnings=check_api_version(manifest, where, current=API_VERSION, older=_OLD_API_VERSIONS),
    )
    if not receiver.resources:
        raise spec.error("resources", "is required: at least one object to wake")
    if bool(receiver.oidc_providers) != (kind == _OIDC):
        needs = "needs at least one entry" if kind == _OIDC else f"can only be set when type is {_OIDC}"
        raise spec.error("oidcProviders", needs)
    spec.done()
    return receiver


def check_api_version(manifest: Manifest, where: Where, *, current: str, older: tuple[str, ...]) -> tuple[str, ...]:
    """No warnings for ``current``, one for an older version. Raises InvalidDocument for any other."""
    found = str(manifest["apiVersion"])
    if found == current:
        return ()
    if found in older:
        return (f"{found} is deprecated: write {current}",)
    whole = Fields(manifest, where=where)
    raise whole.error("apiVersion", f"is {found}, must be {current} (or {', '.join(older)})")


def object_selector(each: Fields, namespace: str) -> ObjectSelector:
    """A CrossNamespaceObjectReference; ``namespace``: that of the document, used where it names none.

    Any kind is taken, also one that Flux's CRD does not list (FluxInstance stands in real fleets).
    """
    return ObjectSelector(
        kind=each.string("kind", pattern=_KIND_PATTERN, longest=63),
        namespace=each.string("namespace", default=namespace, longest=253) or namespace,
        name=each.string("name", longest=253, pattern=r"\*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?"),
        labels=each.string_map("matchLabels"),
        api_version=each.string("apiVersion", default=""),
    )


def webhook_digest(token: bytes, name: str, namespace: str) -> str:
    """The last part of ``/hook/<digest>``: lower-case hex of sha256 over token, name and namespace.

    As Flux: plain concatenation, the token untrimmed.
    """
    return hashlib.sha256(token + name.encode() + namespace.encode()).hexdigest()


def problems(receiver: Receiver, *, cross_namespace: bool = True) -> tuple[tuple[str, str], ...]:
    """What of this Receiver is not served, as (reason, sentence) pairs; empty where all of it is.

    ``cross_namespace``: whether resources may stand in other namespaces (``not policy.noCrossNamespaceRefs``).
    """
    found = []
    if receiver.type not in SERVED_TYPES:
        found.append(("UnsupportedType", unsupported_type(receiver.type)))
    if receiver.resource_filter and (problem := filter_problem(receiver.resource_filter)):
        found.append(("InvalidCELExpression", f"spec.resourceFilter: {problem}"))
    for index, resource in enumerate(receiver.resources):
        wrong = _problem(receiver, resource, cross_namespace=cross_namespace)
        if wrong:
            found.append((wrong[0], f"spec.resources[{index}]{wrong[1]}"))
    return tuple(found)


def unsupported_type(name: str) -> str:
    """The sentence about a Receiver type that has no module yet."""
    return f"Receivers of type {name} are not served yet (served: {', '.join(sorted(SERVED_TYPES))})"


def index_entry(receiver: Receiver, cluster: str, token: bytes, *, cross_namespace: bool = True) -> ReceiverRecord:
    """What the webhook looks up by the digest. ``token``: the Secret's ``token``, untrimmed.

    Resources that are not served (see ``problems``) are left out; where none is left the webhook answers 503.
    """
    served = [
        _to_record(receiver, each)
        for each in receiver.resources
        if not (receiver.resource_filter and filter_problem(receiver.resource_filter))
        and not _problem(receiver, each, cross_namespace=cross_namespace)
    ]
    return ReceiverRecord(
        cluster=cluster,
        namespace=receiver.namespace,
        name=receiver.name,
        type=receiver.type,
        digest=webhook_digest(token, receiver.name, receiver.namespace),
        secret=secret_name(WEBHOOK, cluster, receiver.namespace, receiver.secret) if receiver.secret else "",
        events=receiver.events,
        resources=tuple(served),
        suspended=receiver.suspend,
    )


def _to_record(receiver: Receiver, resource: ReceiverResource) -> dict[str, str]:
    target = resource.target
    entry = {"kind": target.kind, "namespace": target.namespace, "name": target.name}
    if target.name == EVERY:
        # Kubernetes' own selector syntax, so that the record stays a flat mapping of strings
        entry["selector"] = ",".join(f"{key}={value}" for key, value in sorted(target.labels.items()))
    filters = zip(FILTERS, (receiver.resource_filter, resource.filter), strict=True)
    return entry | {name: expression for name, expression in filters if expression}


def _problem(receiver: Receiver, resource: ReceiverResource, *, cross_namespace: bool) -> tuple[str, str] | None:
    target = resource.target
    if target.kind not in WOKEN_KINDS:
        return ("UnsupportedKind", f".kind: {target.kind} is not woken by webhooks yet")
    if target.name == EVERY and not target.labels:
        return ("ValidationFailed", ".matchLabels is required where the name is '*'")
    if resource.filter and (problem := filter_problem(resource.filter)):
        return ("InvalidCELExpression", f".filter: {problem}")
    if not cross_namespace and target.namespace != receiver.namespace:
        return ("AccessDenied", f".namespace: {target.namespace} is not the Receiver's, and the plane forbids that")
    return None


def _secret(spec: Fields, kind: str) -> str:
    name = spec.optional("secretRef", lambda each: each.name("name")) or ""
    if kind == _OIDC and name:
        raise spec.error("secretRef", f"cannot be set when type is {_OIDC}")
    if kind != _OIDC and not name:
        raise spec.error("secretRef", "is required: the Secret whose `token` the sender knows")
    return name


def _resource(each: Fields, namespace: str) -> ReceiverResource:
    return ReceiverResource(target=object_selector(each, namespace), filter=each.string("filter", default=""))


def _oidc_provider(each: Fields) -> OidcProvider:
    validations = each.each("validations", lambda item: (item.string("expression"), item.string("message")))
    if not validations:
        raise each.error("validations", "needs at least one entry: a valid signature alone names no sender")
    return OidcProvider(
        issuer=each.string("issuerURL", pattern=r"https?://.*"),
        audience=each.string("audience", default="") or "notification-controller",
        variables=each.each("variables", lambda item: (item.string("name"), item.string("expression"))),
        validations=validations,
    )
