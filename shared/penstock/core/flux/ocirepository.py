"""OCIRepository (source.toolkit.fluxcd.io): manifests from an artifact in a container registry.

Spec: Flux's docs/spec/v1/ocirepositories.md. Every field of v1 is parsed and acted upon.
"""

from dataclasses import dataclass, field

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
from penstock.core.sources.oci import ImageName, image_name

KIND = "OCIRepository"
EXTRACT, COPY = "extract", "copy"

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
    """An entry of ``matchOIDCIdentity``: regular expressions for a certificate's issuer and subject."""

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
class OciRepository(SourceDocument):
    """One OCIRepository, defaults applied. ``cert_secret``: as the other Secrets."""

    url: str
    image: ImageName
    reference: OciReference = field(default_factory=OciReference)
    layer: LayerSelector = field(default_factory=LayerSelector)
    cert_secret: str = ""
    insecure: bool = False
    verification: Verification | None = None


def parse_oci_repository(manifest: Manifest, *, file: str = "") -> OciRepository:
    """The OCIRepository of a manifest.

    Raises InvalidDocument with the dotted path of the first field that is wrong (reason ``URLInvalid`` for the url).
    """
    spec = open_source(manifest, file=file)
    url = spec.string("url", longest=2048)
    parsed = OciRepository(
        **common_fields(spec, manifest, (GENERIC, AWS, AZURE, GCP)),
        url=url,
        image=_image(spec, url),
        reference=spec.optional("ref", _reference) or OciReference(),
        layer=spec.optional("layerSelector", _layer) or LayerSelector(),
        cert_secret=reference(spec, "certSecretRef"),
        insecure=spec.boolean("insecure", default=False),
        verification=spec.optional("verify", _verify),
    )
    spec.done()
    return parsed


def _image(spec: Fields, url: str) -> ImageName:
    try:
        return image_name(url)
    except ValueError as error:
        raise wrong_url(spec, "url", str(error)) from None


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
        secret=reference(verify, "secretRef"),
        trusted_root_secret=reference(verify, "trustedRootSecretRef"),
        identities=verify.each("matchOIDCIdentity", _identity),
    )
    if found.provider == "notation" and not found.secret:
        raise verify.error("secretRef", "is required for provider notation: trustpolicy.json and certificates")
    return found


def _identity(each: Fields) -> OidcIdentity:
    return OidcIdentity(issuer=each.string("issuer", longest=1024), subject=each.string("subject", longest=1024))
