"""What GitRepository, OCIRepository and Bucket have in common: the fields that say when, as whom and through what."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.flux.fields import Fields, open_document
from penstock.core.resources import Manifest, ref_of

API_GROUP = "source.toolkit.fluxcd.io"
API_VERSION = f"{API_GROUP}/v1"
GENERIC, AWS, AZURE, GCP, GITHUB = "generic", "aws", "azure", "gcp", "github"

_API_VERSIONS = (API_VERSION, f"{API_GROUP}/v1beta2")
_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceDocument:
    """One source, defaults applied. Secrets and ServiceAccounts: names in its namespace, or "".

    ``ignore``: None where the document has none; ``provider``: whose identities log in (generic: nobody's).
    """

    namespace: str
    name: str
    interval: timedelta
    timeout: timedelta = _TIMEOUT
    suspend: bool = False
    ignore: str | None = None
    secret: str = ""
    proxy_secret: str = ""
    provider: str = GENERIC
    service_account: str = ""


def open_source(manifest: Manifest, *, file: str) -> Fields:
    """The spec of a source. Raises InvalidDocument where its apiVersion is none of those that are read."""
    spec, where = open_document(manifest, file=file)
    if manifest["apiVersion"] not in _API_VERSIONS:
        problem = f"is {manifest['apiVersion']!r}, must be {API_VERSION}"
        raise InvalidDocument(problem, path="apiVersion", document=where.document, file=where.file)
    return spec


def common_fields(spec: Fields, manifest: Manifest, providers: Iterable[str]) -> dict[str, Any]:
    """The arguments of a SourceDocument. ``providers``: those that this kind knows."""
    ref = ref_of(manifest)
    return {
        "namespace": ref.namespace,
        "name": ref.name,
        "interval": spec.duration("interval"),
        "timeout": spec.duration("timeout", default=_TIMEOUT),
        "suspend": spec.boolean("suspend", default=False),
        "ignore": spec.string("ignore", default="") if spec.has("ignore") else spec.raw("ignore"),
        "secret": reference(spec, "secretRef"),
        "proxy_secret": reference(spec, "proxySecretRef"),
        "provider": spec.string("provider", default=GENERIC, one_of=providers),
        "service_account": spec.name("serviceAccountName", default=""),
    }


def reference(fields: Fields, name: str) -> str:
    """The name in a reference to a Secret; "" where there is none."""
    return fields.optional(name, lambda found: found.name("name")) or ""


def wrong_url(fields: Fields, name: str, problem: str) -> InvalidDocument:
    """The error for a URL, with Flux's reason. Messages never repeat it: it may hold a password."""
    error = fields.error(name, problem)
    error.reason = "URLInvalid"
    return error
