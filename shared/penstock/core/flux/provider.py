"""Provider (notification.toolkit.fluxcd.io): where notifications go, and with which credentials.

Spec: Flux's docs/spec/v1beta3/providers.md. Every field and every type of v1beta3 parses; ``unserved`` names what a
document asks for that nothing here does yet.
"""

from dataclasses import dataclass
from datetime import timedelta

from penstock.core.flux.fields import Fields, open_document
from penstock.core.flux.receiver import API_GROUP, check_api_version
from penstock.core.resources import Manifest, ref_of

API_VERSION = f"{API_GROUP}/v1beta3"
KIND = "Provider"
COMMIT_STATUS_TYPES = frozenset({"github", "gitlab", "gitea", "bitbucketserver", "bitbucket", "azuredevops"})
TYPES = (
    *("slack", "discord", "msteams", "rocket", "generic", "generic-hmac", "github", "gitlab", "gitea"),
    *("giteapullrequestcomment", "bitbucketserver", "bitbucket", "azuredevops", "googlechat", "googlepubsub"),
    *("webex", "sentry", "azureeventhub", "telegram", "lark", "matrix", "opsgenie", "alertmanager", "grafana"),
    *("githubdispatch", "githubpullrequestcomment", "gitlabmergerequestcomment", "pagerduty", "datadog", "nats"),
    *("zulip", "otel", "zoom", "incident.io"),
)
SERVED_TYPES = frozenset({"slack", "pagerduty", "generic", "generic-hmac"})
"""Types with a module in core.notify."""

_OLD_API_VERSIONS = (f"{API_GROUP}/v1beta1", f"{API_GROUP}/v1beta2")
_LONGEST = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """One Provider. ``secret``, ``cert_secret``, ``proxy_secret``: names in the same namespace, "" where not named.

    ``address`` "" where the Secret's ``address`` gives it. ``timeout``: of one notification.
    """

    name: str
    namespace: str
    type: str
    address: str = ""
    channel: str = ""
    username: str = ""
    timeout: timedelta = timedelta(seconds=15)
    secret: str = ""
    cert_secret: str = ""
    proxy_secret: str = ""
    proxy: str = ""
    service_account: str = ""
    commit_status_expr: str = ""
    suspend: bool = False
    warnings: tuple[str, ...] = ()


def parse_provider(manifest: Manifest, *, file: str = "") -> Provider:
    """The Provider of a manifest that has apiVersion, kind and metadata. Raises InvalidDocument."""
    spec, where = open_document(manifest, file=file)
    ref = ref_of(manifest)
    warnings = check_api_version(manifest, where, current=API_VERSION, older=_OLD_API_VERSIONS)
    if spec.raw("interval") is not None:
        spec.duration("interval")
        warnings += ("spec.interval has no effect: remove it",)
    provider = Provider(
        name=ref.name,
        namespace=ref.namespace,
        type=spec.string("type", one_of=TYPES),
        address=spec.string("address", default="", longest=_LONGEST),
        channel=spec.string("channel", default="", longest=_LONGEST),
        username=spec.string("username", default="", longest=_LONGEST),
        timeout=spec.duration("timeout", default=timedelta(seconds=15)),
        secret=_reference(spec, "secretRef"),
        cert_secret=_reference(spec, "certSecretRef"),
        proxy_secret=_reference(spec, "proxySecretRef"),
        proxy=spec.string("proxy", default="", longest=_LONGEST),
        service_account=spec.name("serviceAccountName", default=""),
        commit_status_expr=spec.string("commitStatusExpr", default=""),
        suspend=spec.boolean("suspend", default=False),
        warnings=warnings,
    )
    if provider.proxy and not provider.proxy.startswith(("http://", "https://")):
        raise spec.error("proxy", "must start with http:// or https://")  # its value may hold a password
    if provider.commit_status_expr and provider.type not in COMMIT_STATUS_TYPES:
        raise spec.error("commitStatusExpr", f"is only for the types {', '.join(sorted(COMMIT_STATUS_TYPES))}")
    spec.done()
    return provider


def unserved(provider: Provider) -> tuple[tuple[str, str], ...]:
    """What of this Provider is not served, as (reason, sentence) pairs; empty where all of it is."""
    found = []
    if provider.type not in SERVED_TYPES:
        served = ", ".join(sorted(SERVED_TYPES))
        found.append(("UnsupportedType", f"Providers of type {provider.type} are not served yet (served: {served})"))
    # going around a proxy, or trusting other roots than asked, would be worse than saying nothing
    for path, value in (
        ("spec.proxy", provider.proxy),
        ("spec.proxySecretRef", provider.proxy_secret),
        ("spec.certSecretRef", provider.cert_secret),
        ("spec.serviceAccountName", provider.service_account),
    ):
        if value:
            found.append(("UnsupportedField", f"{path} is not served yet"))
    return tuple(found)


def _reference(spec: Fields, name: str) -> str:
    return spec.optional(name, lambda each: each.name("name")) or ""
