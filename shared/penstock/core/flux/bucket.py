"""Bucket (source.toolkit.fluxcd.io): manifests from objects behind S3's API, of Google Cloud Storage or Azure.

Spec: Flux's docs/spec/v1/buckets.md. Every field of v1 is parsed and acted upon.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from penstock.core.flux.fields import Fields
from penstock.core.flux.source_fields import (
    AWS,
    AZURE,
    GCP,
    GENERIC,
    SourceDocument,
    common_fields,
    open_source,
    reference,
    wrong_url,
)
from penstock.core.resources import Manifest

KIND = "Bucket"
LDAP = "ldap"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sts:
    """``spec.sts``: who gives temporary keys. ``provider``: aws | ldap; ``endpoint``: its URL."""

    provider: str
    endpoint: str
    secret: str = ""
    cert_secret: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket(SourceDocument):
    """One Bucket, defaults applied. ``endpoint``: ``https://host[:port]`` (http where ``insecure``)."""

    bucket: str
    endpoint: str
    region: str = ""
    prefix: str = ""
    cert_secret: str = ""
    sts: Sts | None = None


def parse_bucket(manifest: Manifest, *, file: str = "") -> Bucket:
    """The Bucket of a manifest. Raises InvalidDocument with the dotted path of the first field that is wrong."""
    spec = open_source(manifest, file=file)
    common = common_fields(spec, manifest, (GENERIC, AWS, GCP, AZURE))
    parsed = Bucket(
        **common,
        bucket=spec.string("bucketName", pattern=r"[A-Za-z0-9$][A-Za-z0-9._-]{1,221}"),
        endpoint=_endpoint(spec, azure=common["provider"] == AZURE),
        region=spec.string("region", default="", pattern="[A-Za-z0-9-]{0,63}"),
        prefix=spec.string("prefix", default="", longest=1024),
        cert_secret=reference(spec, "certSecretRef"),
        sts=spec.optional("sts", _sts),
    )
    _check(spec, parsed)
    spec.done()
    return parsed


def _check(spec: Fields, bucket: Bucket) -> None:
    """What Flux's CustomResourceDefinition asks of fields that go together."""
    sts = bucket.sts
    if sts is not None and (bucket.provider, sts.provider) not in ((AWS, AWS), (GENERIC, LDAP)):
        raise spec.error("sts", "is only for provider 'aws' with STS provider 'aws', and 'generic' with 'ldap'")
    if sts is not None and sts.provider == AWS and (sts.secret or sts.cert_secret):
        raise spec.error("sts", "needs no secretRef or certSecretRef for STS provider 'aws'")
    if bucket.service_account and bucket.provider == GENERIC:
        raise spec.error("serviceAccountName", "is not supported for provider 'generic'")
    if bucket.service_account and bucket.secret:
        raise spec.error("serviceAccountName", "cannot be set together with secretRef")


def _endpoint(spec: Fields, *, azure: bool) -> str:
    """Flux takes ``host``, ``host:port`` and URLs; for Azure a URL that may have a path (the account, on emulators)."""
    text = spec.string("endpoint", longest=2048)
    insecure = spec.boolean("insecure", default=False)
    scheme = "http" if insecure or (azure and text.startswith("http://")) else "https"
    host = text.partition("://")[2] or text
    try:
        parts = urlsplit(f"{scheme}://{host.rstrip('/')}")
        usable = bool(parts.hostname) and (parts.port or 1) > 0 and not (parts.username or parts.query)
        usable = usable and (azure or not parts.path)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in text):
        raise wrong_url(spec, "endpoint", "must be a host, such as minio.example.com or minio.example.com:9000")
    return parts.geturl()


def _sts(sts: Fields) -> Sts:
    return Sts(
        provider=sts.string("provider", one_of=(AWS, LDAP)),
        endpoint=sts.string("endpoint", pattern=r"https?://[^\s]+", longest=2048),
        secret=reference(sts, "secretRef"),
        cert_secret=reference(sts, "certSecretRef"),
    )
