"""Notary Project signatures (Notation): JWS envelopes, under the trust policy and the certificates of a Secret.

https://github.com/notaryproject/specifications (signature-specification, signature-envelope-jws,
trust-store-trust-policy). As in Flux, every certificate of the Secret is in every trust store that a policy names. What
would need a network (revocation) or a timestamp authority is not done: where the policy enforces it, and the
certificates ask for it, the signature is refused.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.core.signatures.attached import JWS, Attached
from penstock.core.signatures.cosign import first_that_holds, json_of
from penstock.core.signatures.keys import refused
from penstock.core.signatures.x509_chain import check_chain, der_chain, pem_certificates, revocable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

POLICY = "trustpolicy.json"
_SUFFIXES = (".crt", ".pem")
_SCHEME, _TIME, _EXPIRY = (f"io.cncf.notary.{name}" for name in ("signingScheme", "signingTime", "expiry"))
_X509 = "notary.x509"
_KNOWN = frozenset({_SCHEME, _EXPIRY})
"""Critical headers that are understood here; any other is refused, as the specification asks."""

_PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
_LEVELS = {
    "strict": ("authenticity", "authenticTimestamp", "expiry", "revocation"),
    "permissive": ("authenticity",),
    "audit": (),
}
"""What of a level is enforced, besides integrity, which always is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustPolicy:
    """The statement for one repository. ``skips``: it asks for no verification; ``enforced``: what must hold."""

    name: str
    skips: bool = False
    enforced: frozenset[str] = frozenset()
    identities: tuple[str, ...] = ()
    certificates: tuple["Certificate", ...] = field(default=(), repr=False)


def trust_policy(secret: Mapping[str, bytes], repository: str) -> TrustPolicy:
    """The policy for ``registry/repository`` in a Secret's ``trustpolicy.json``, with the Secret's certificates.

    Raises Refused where it has none, or one that cannot be read.
    """
    if POLICY not in secret:
        raise refused(f"the Secret has no {POLICY}")
    try:
        document = json_of(secret[POLICY], POLICY)
        statement = _statement(document, repository)
        found = _policy(statement)
        certificates = [
            each for name in sorted(secret) if name.endswith(_SUFFIXES) for each in pem_certificates(secret[name])
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = str(error) if type(error) is ValueError else "a field is missing, or of the wrong type"
        raise refused(f"the Secret's {POLICY} or a certificate cannot be used: {detail}") from error
    if not found.skips and not certificates:
        raise refused("the Secret has no certificate: its keys' names end in .crt or .pem")
    return replace(found, certificates=tuple(certificates))


def verify_notation(found: Iterable[Attached], policy: TrustPolicy, digest: str, now: datetime) -> bool:
    """Whether a signature of this digest was verified; False where it was not, and the policy only audits.

    Raises Refused, saying what is wrong with each signature. ``now``: UTC.
    """
    return first_that_holds(found, lambda each: _is_verified(each, policy, digest, now))


def _is_verified(found: Attached, policy: TrustPolicy, digest: str, now: datetime) -> bool:
    if found.media_type != JWS:
        raise ValueError("one is in COSE, which is not served: sign with --signature-format jws")
    envelope = json_of(found.data, "an envelope")
    protected = json_of(_url_decoded(envelope.get("protected")), "an envelope's protected header")
    header = envelope.get("header")
    chain = der_chain(header.get("x5c") if isinstance(header, Mapping) else None)
    _check_integrity(envelope, protected, chain[0], digest)
    checks: dict[str, Callable[[], None]] = {
        "authenticity": lambda: _check_authenticity(chain, policy, protected, now),
        "expiry": lambda: _check_expiry(protected, now),
        "revocation": lambda: _check_revocation(chain),
    }
    for name, check in checks.items():
        try:
            check()
        except ValueError:
            if name in policy.enforced:
                raise
            if name == "authenticity":
                return False
    return True


def _check_integrity(
    envelope: Mapping[str, Any], protected: Mapping[str, Any], signing: "Certificate", digest: str
) -> None:
    critical = protected.get("crit") or []
    if not isinstance(critical, list) or not set(map(str, critical)) <= _KNOWN:
        raise ValueError("an envelope has critical headers that are not known here")
    if protected.get("cty") != _PAYLOAD or protected.get(_SCHEME) != _X509:
        raise ValueError("an envelope is of another scheme than notary.x509")
    payload, header = str(envelope.get("payload")), str(envelope.get("protected"))
    if not _is_signed(
        str(protected.get("alg")), signing, _url_decoded(envelope.get("signature")), f"{header}.{payload}"
    ):
        raise ValueError("one is by another key, or was changed")
    target = json_of(_url_decoded(payload), "a payload").get("targetArtifact")
    named = target.get("digest") if isinstance(target, Mapping) else None
    if not isinstance(named, str) or not hmac.compare_digest(named.encode(), digest.encode()):
        raise ValueError(f"one is of another digest ({str(named)[:80]})")


def _is_signed(algorithm: str, signing: "Certificate", signature: bytes, signed: str) -> bool:
    """JSON Web Algorithms that the specification allows: PS256 … PS512, ES256 … ES512, as the key's size asks."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where something is verified
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils  # noqa: PLC0415 - see above

    sizes: dict[int, hashes.HashAlgorithm] = {
        2048: hashes.SHA256(), 3072: hashes.SHA384(), 4096: hashes.SHA512(),
        256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512(),
    }  # fmt: skip
    key = signing.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) or key.key_size not in sizes:
        return False
    hashed = sizes[key.key_size]
    kind = "PS" if isinstance(key, rsa.RSAPublicKey) else "ES"
    if algorithm != f"{kind}{hashed.digest_size * 8}":
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(mgf=padding.MGF1(hashed), salt_length=hashed.digest_size)
            key.verify(signature, signed.encode(), pss, hashed)
        else:
            half = (key.key_size + 7) // 8
            if len(signature) != 2 * half:
                return False
            r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
            key.verify(utils.encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashed))
    except InvalidSignature:
        return False
    return True


def _check_authenticity(
    chain: "tuple[Certificate, ...]", policy: TrustPolicy, protected: Mapping[str, Any], now: datetime
) -> None:
    """Chain, trust store and identity. Without a countersigned time the certificates must be valid now."""
    moment = now if "authenticTimestamp" in policy.enforced else _moment(protected.get(_TIME))
    check_chain(chain, moment)
    if not set(policy.certificates) & set(chain):
        raise ValueError("one is of no certificate authority in the Secret")
    if "*" not in policy.identities and not any(_is_named(each, chain[0]) for each in policy.identities):
        subject = chain[0].subject.rfc4514_string()
        raise ValueError(f"one is by '{subject[:200]}', whom the trust policy '{policy.name}' does not name")


def _check_expiry(protected: Mapping[str, Any], now: datetime) -> None:
    if _EXPIRY in protected and _moment(protected[_EXPIRY]) <= now:
        raise ValueError("one has expired")


def _check_revocation(chain: "tuple[Certificate, ...]") -> None:
    if any(revocable(each) for each in chain):
        raise ValueError(
            "a certificate may be revoked, and OCSP and CRLs are not asked here: the trust policy's override "
            "revocation: log goes on without"
        )


def _is_named(identity: str, signing: "Certificate") -> bool:
    """Whether a certificate's subject has all the attributes of ``x509.subject: C=…, ST=…, O=…``."""
    from cryptography.x509 import Name  # noqa: PLC0415 - see _is_signed

    kind, _, text = identity.partition(":")
    wanted = Name.from_rfc4514_string(",".join(part.strip() for part in text.split(",")))
    return (
        kind == "x509.subject"
        and len(list(wanted)) > 0
        and {(a.oid, a.value) for a in wanted} <= {(a.oid, a.value) for a in signing.subject}
    )


def _statement(document: Mapping[str, Any], repository: str) -> Mapping[str, Any]:
    if document["version"] != "1.0":
        raise ValueError("its version is not 1.0")
    statements: list[Mapping[str, Any]] = document["trustPolicies"]
    for scope in (repository, "*"):
        for each in statements:
            if scope in each["registryScopes"]:
                return each
    raise ValueError(f"no trust policy is for {repository}")


def _policy(statement: Mapping[str, Any]) -> TrustPolicy:
    asked = statement["signatureVerification"]
    name, level, override = str(statement["name"]), asked["level"], asked.get("override") or {}
    if level == "skip":
        return TrustPolicy(name=name, skips=True)
    if level not in _LEVELS:
        raise ValueError("its level is not strict, permissive, audit or skip")
    enforced = {*_LEVELS[level], *(key for key, value in override.items() if value == "enforce")}
    enforced -= {key for key, value in override.items() if value in ("log", "skip")}
    identities = tuple(map(str, statement["trustedIdentities"]))
    if not identities or not statement["trustStores"]:
        raise ValueError(f"policy '{name}' names no trustStores or trustedIdentities")
    return TrustPolicy(name=name, enforced=frozenset(enforced), identities=identities)


def _moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("an envelope has no time of signing")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _url_decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text) + "=" * (-len(str(text)) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("an envelope is no base64url") from None
