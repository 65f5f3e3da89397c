"""OCIRepository (source.toolkit.fluxcd.io): manifests from an artifact in a container registry.

Spec: Flux's docs/spec/v1/ocirepositories.md. Every field of v1 is parsed; ``unserved`` lists those that a document
sets and that nothing here acts on yet, so that a caller refuses them by name instead of ignoring them.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from penstock.core.errors import InvalidDocument
from penstock.core.flux.fields import Fields, open_document
from penstock.core.resources import Manifest, ref_of
from penstock.core.sources.oci import ImageName, image_name

API_GROUP = "source.toolkit.fluxcd.io"
API_VERSION = f"{API_GROUP}/v1"
KIND = "OCIRepository"
EXTRACT, COPY = "extract", "copy"

_API_VERSIONS = (API_VERSION, f"{API_GROUP}/v1beta2")
_TIMEOUT = timedelta(seconds=60)
_DIGEST = r"(?:sha256:[0-9a-f]{64})?"
_TAG = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"


@dataclass(frozen=True, kw_only=True, slots=True)
class OciReference:
    """``spec.ref``, "" where not given. Precedence: digest, semver (of the tags that match the filter), tag."""

    digest: str = ""
    semver: str = ""
    semver_filter: str = ""
    tag: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSelector:
    """Which layer ("" for the first one), and whether it is unpacked under the ignore rules, or as it is (copy)."""

    media_type: str = ""
    operation: str = EXTRACT


@dataclass(frozen=True, kw_only=True, slots=True)
class OidcIdentity:
    """An entry of ``matchOIDCIdentity``: regular expressions that find themselves in a certificate's issuer, subject."""

    issuer: str
    subject: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """``spec.verify``. ``secret``: of public keys or certificates; ``trusted_root_secret``: of trusted_root.json."""

    provider: str = "cosign"
    secret: str = ""
    trusted_root_secret: str = ""
    identities: tuple[OidcIdentity, ...] = ()

    def __str__(self) -> str:
        """The provider as Flux's messages name it."""
        return f"{self.provider} keyless" if self.provider == "cosign" and not self.secret else self.provider


@dataclass(frozen=True, kw_only=True, slots=True)
class OciRepository:
    """One OCIRepository, defaults applied. ``secret``, ``cert_secret``: names in its namespace, or ""."""

    namespace: str
    name: str
    url: str
    image: ImageName
    interval: timedelta
    timeout: timedelta = _TIMEOUT
    reference: OciReference = field(default_factory=OciReference)
    layer: LayerSelector = field(default_factory=LayerSelector)
    secret: str = ""
    cert_secret: str = ""
    ignore: str | None = None
    insecure: bool = False
    suspend: bool = False
    provider: str = "generic"
    service_account: str = ""
    proxy_secret: str = ""
    verification: Verification | None = None


def parse_oci_repository(manifest: Manifest, *, file: str = "") -> OciRepository:
    """The OCIRepository of a manifest.

    Raises InvalidDocument with the dotted path of the first field that is wrong (reason ``URLInvalid`` for the url).
    """
    spec, where = open_document(manifest, file=file)
    if manifest["apiVersion"] not in _API_VERSIONS:
        problem = f"is {manifest['apiVersion']!r}, must be {API_VERSION}"
        raise InvalidDocument(problem, path="apiVersion", document=where.document, file=file)
    ref = ref_of(manifest)
    url = spec.string("url", longest=2048)
    parsed = OciRepository(
        namespace=ref.namespace,
        name=ref.name,
        url=url,
        image=_image(spec, url),
        interval=spec.duration("interval"),
        timeout=spec.duration("timeout", default=_TIMEOUT),
        reference=spec.optional("ref", _reference) or OciReference(),
        layer=spec.optional("layerSelector", _layer) or LayerSelector(),
        secret=spec.optional("secretRef", _name) or "",
        cert_secret=spec.optional("certSecretRef", _name) or "",
        ignore=spec.string("ignore", default="") if spec.has("ignore") else spec.raw("ignore"),
        insecure=spec.boolean("insecure", default=False),
        suspend=spec.boolean("suspend", default=False),
        provider=spec.string("provider", default="generic", one_of=("generic", "aws", "azure", "gcp")),
        service_account=spec.name("serviceAccountName", default=""),
        proxy_secret=spec.optional("proxySecretRef", _name) or "",
        verification=spec.optional("verify", _verify),
    )
    spec.done()
    return parsed


def unserved(repository: OciRepository) -> tuple[str, ...]:
    """Dotted paths of fields that the document sets and that nothing acts on yet."""
    found = (
        ("spec.provider", repository.provider != "generic"),
        ("spec.serviceAccountName", bool(repository.service_account)),
        ("spec.proxySecretRef", bool(repository.proxy_secret)),
    )
    return tuple(path for path, is_set in found if is_set)


def _image(spec: Fields, url: str) -> ImageName:
    try:
        return image_name(url)
    except ValueError as error:
        wrong = spec.error("url", str(error))
        wrong.reason = "URLInvalid"
        raise wrong from None


def _reference(ref: Fields) -> OciReference:
    return OciReference(
        digest=ref.string("digest", default="", pattern=_DIGEST),
        semver=ref.string("semver", default="", longest=255),
        semver_filter=ref.string("semverFilter", default="", longest=1024),
        tag=ref.string("tag", default="", pattern=_TAG),
    )


def _layer(selector: Fields) -> LayerSelector:
    return LayerSelector(
        media_type=selector.string("mediaType", default="", longest=255),
        operation=selector.string("operation", default=EXTRACT, one_of=(EXTRACT, COPY)),
    )


def _verify(verify: Fields) -> Verification:
    found = Verification(
        provider=verify.string("provider", default="cosign", one_of=("cosign", "notation")),
        secret=verify.optional("secretRef", _name) or "",
        trusted_root_secret=verify.optional("trustedRootSecretRef", _name) or "",
        identities=verify.each("matchOIDCIdentity", _identity),
    )
    if found.provider == "notation" and not found.secret:
        raise verify.error("secretRef", "is required for provider notation: trustpolicy.json and certificates")
    return found


def _identity(each: Fields) -> OidcIdentity:
    return OidcIdentity(issuer=each.string("issuer", longest=1024), subject=each.string("subject", longest=1024))


def _name(reference: Fields) -> str:
    return reference.name("name")
