"""Bucket (source.toolkit.fluxcd.io): manifests from objects of an S3-compatible bucket, or of Google Cloud Storage.

Spec: Flux's docs/spec/v1/buckets.md. Every field of v1 is parsed; ``unserved`` lists those that a document sets and
that nothing here acts on yet, so that a caller refuses them by name instead of ignoring them.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from penstock.core.errors import InvalidDocument
from penstock.core.flux.fields import Fields, open_document
from penstock.core.resources import Manifest, ref_of

API_GROUP = "source.toolkit.fluxcd.io"
API_VERSION = f"{API_GROUP}/v1"
KIND = "Bucket"
GENERIC, AWS, GCP, AZURE = "generic", "aws", "gcp", "azure"

_API_VERSIONS = (API_VERSION, f"{API_GROUP}/v1beta2")
_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """One Bucket, defaults applied.

    ``endpoint``: ``https://host[:port]`` (http where ``insecure``); ``secret``, ``cert_secret``: names in its
    namespace, or "".
    """

    namespace: str
    name: str
    bucket: str
    endpoint: str
    interval: timedelta
    timeout: timedelta = _TIMEOUT
    region: str = ""
    prefix: str = ""
    secret: str = ""
    cert_secret: str = ""
    ignore: str | None = None
    suspend: bool = False
    provider: str = GENERIC
    service_account: str = ""
    proxy_secret: str = ""
    sts: bool = False


def parse_bucket(manifest: Manifest, *, file: str = "") -> Bucket:
    """The Bucket of a manifest. Raises InvalidDocument with the dotted path of the first field that is wrong."""
    spec, where = open_document(manifest, file=file)
    if manifest["apiVersion"] not in _API_VERSIONS:
        problem = f"is {manifest['apiVersion']!r}, must be {API_VERSION}"
        raise InvalidDocument(problem, path="apiVersion", document=where.document, file=file)
    ref = ref_of(manifest)
    parsed = Bucket(
        namespace=ref.namespace,
        name=ref.name,
        bucket=spec.string("bucketName", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}"),
        endpoint=_endpoint(spec),
        interval=spec.duration("interval"),
        timeout=spec.duration("timeout", default=_TIMEOUT),
        region=spec.string("region", default="", pattern="[A-Za-z0-9-]{0,63}"),
        prefix=spec.string("prefix", default="", longest=1024),
        secret=spec.optional("secretRef", _name) or "",
        cert_secret=spec.optional("certSecretRef", _name) or "",
        ignore=spec.string("ignore", default="") if spec.has("ignore") else spec.raw("ignore"),
        suspend=spec.boolean("suspend", default=False),
        provider=spec.string("provider", default=GENERIC, one_of=(GENERIC, AWS, GCP, AZURE)),
        service_account=spec.name("serviceAccountName", default=""),
        proxy_secret=spec.optional("proxySecretRef", _name) or "",
        sts=spec.optional("sts", _sts) is not None,
    )
    spec.done()
    return parsed


def unserved(bucket: Bucket) -> tuple[str, ...]:
    """Dotted paths of fields that the document sets and that nothing acts on yet."""
    found = (
        ("spec.provider (azure)", bucket.provider == AZURE),
        ("spec.secretRef (missing: the plane's own identity is not used for Buckets)", _ambient(bucket)),
        ("spec.serviceAccountName", bool(bucket.service_account)),
        ("spec.proxySecretRef", bool(bucket.proxy_secret)),
        ("spec.sts", bucket.sts),
    )
    return tuple(path for path, is_set in found if is_set)


def _ambient(bucket: Bucket) -> bool:
    """Flux's controller would use its own identity here; a tenant must not read with the plane's."""
    return bucket.provider in (AWS, GCP) and not bucket.secret


def _endpoint(spec: Fields) -> str:
    """Flux takes ``host``, ``host:port`` and URLs."""
    text = spec.string("endpoint", longest=2048)
    scheme = "http" if spec.boolean("insecure", default=False) else "https"
    host = text.partition("://")[2] or text
    try:
        parts = urlsplit(f"{scheme}://{host.rstrip('/')}")
        usable = bool(parts.hostname) and (parts.port or 1) > 0 and not (parts.username or parts.query)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in text):
        error = spec.error("endpoint", "must be a host, such as minio.example.com or minio.example.com:9000")
        error.reason = "URLInvalid"
        raise error
    return parts.geturl()


def _sts(sts: Fields) -> bool:
    sts.string("provider", one_of=("aws", "ldap"))
    sts.string("endpoint", default="")
    sts.optional("secretRef", _name)
    sts.optional("certSecretRef", _name)
    return True


def _name(reference: Fields) -> str:
    return reference.name("name")
