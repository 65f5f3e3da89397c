"""Cosign without keys: who signed is named by Fulcio's certificate, and when by Rekor's promise to log it.

A signature beside a tag carries its certificate and Rekor's signed entry timestamp as annotations, so nothing is asked
over the network. Bundles (Cosign 3) are left to sigstore-python (bundles.py).
"""

import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.core.signatures.attached import SIMPLE_SIGNING, Attached
from penstock.core.signatures.bundles import opened
from penstock.core.signatures.certificates import certificate, check_certificate, names
from penstock.core.signatures.cosign import (
    SIGNATURE,
    check_payload,
    check_statement,
    decoded,
    first_that_holds,
    json_of,
)
from penstock.core.signatures.keys import is_signed
from penstock.core.signatures.trust_root import TrustRoot
from penstock.core.sources.patterns import Matcher

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

CERTIFICATE, PROMISE = "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Whose signature counts: expressions that find themselves in the certificate's issuer and in one subject."""

    issuer: Matcher
    subject: Matcher


def verify_keyless(
    found: Iterable[Attached], identities: Sequence[Identity], root: TrustRoot, digest: str
) -> tuple[str, str]:
    """Issuer and subject of who has signed this digest; without ``identities`` anybody counts, as in Flux.

    Raises Refused, saying what is wrong with each signature.
    """
    return first_that_holds(found, lambda each: _signer(each, root, digest, identities))


def _signer(found: Attached, root: TrustRoot, digest: str, identities: Sequence[Identity]) -> tuple[str, str]:
    """Issuer and subject. Raises ValueError. Identity comes last: only of a signature that holds is it told."""
    if found.media_type == SIMPLE_SIGNING:
        signing = _check_simple(found, root, digest)
    else:
        payload_type, payload, signing = opened(found.data, root.data)
        check_statement(payload_type, payload, digest)
    return check_identity(signing, identities)


def check_identity(signing: "Certificate", identities: Sequence[Identity]) -> tuple[str, str]:
    """Issuer and subject of a certificate that somebody among ``identities`` may have. Raises ValueError."""
    issuer, subjects = names(signing)
    if not subjects:
        raise ValueError("a certificate names nobody")
    if not identities:
        return issuer, subjects[0]
    for each in identities:
        subject = next((text for text in subjects if each.subject.search(text)), None)
        if subject is not None and each.issuer.search(issuer):
            return issuer, subject
    raise ValueError(f"one is by '{subjects[0][:200]}' of '{issuer[:200]}', whom matchOIDCIdentity does not name")


def _check_simple(found: Attached, root: TrustRoot, digest: str) -> "Certificate":
    pem, promised = found.annotations.get(CERTIFICATE, ""), found.annotations.get(PROMISE, "")
    if not pem or not promised:
        raise ValueError("one has no certificate, or no entry in a transparency log")
    signing = certificate(pem.encode())
    entry, moment = _promised(json_of(promised.encode(), "a log entry"), root)
    check_certificate(signing, root, moment)
    signature = decoded(found.annotations.get(SIGNATURE, ""), "a signature")
    if not is_signed(signing.public_key(), signature, found.data):
        raise ValueError("one is by another key, or its payload was changed")
    _check_entry(entry, signing, signature, found.data)
    check_payload(found.data, digest)
    return signing


def _promised(bundle: Mapping[str, Any], root: TrustRoot) -> tuple[bytes, datetime]:
    """The logged entry, and when it was logged, as a trusted log has signed it."""
    payload = bundle.get("Payload")
    if not isinstance(payload, Mapping):
        raise ValueError("a log entry is malformed")  # noqa: TRY004 - data, not a caller's mistake
    body, time, index, log = (payload.get(name) for name in ("body", "integratedTime", "logIndex", "logID"))
    if not isinstance(body, str) or not isinstance(log, str) or type(time) is not int or type(index) is not int:
        raise ValueError("a log entry is malformed")
    fields = {"body": body, "integratedTime": time, "logID": log, "logIndex": index}
    signed = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    signature = decoded(bundle.get("SignedEntryTimestamp"), "a log's signature")
    try:
        moment, log_id = datetime.fromtimestamp(time, UTC), bytes.fromhex(log)
    except (ValueError, OverflowError, OSError):
        raise ValueError("a log entry is malformed") from None
    trusted = [each for each in root.rekor if each.id == log_id and each.valid[0] <= moment <= each.valid[1]]
    if not any(is_signed(each.key, signature, signed) for each in trusted):
        raise ValueError("one is in no trusted transparency log")
    return decoded(body, "a log entry"), moment


def _check_entry(entry: bytes, signing: "Certificate", signature: bytes, payload: bytes) -> None:
    """Whether what was logged is this signature, by this certificate, over this payload."""
    found = json_of(entry, "a log entry")
    try:
        if (found["kind"], found["apiVersion"]) != ("hashedrekord", "0.0.1"):
            raise ValueError("a log entry is of another kind")
        hashed, logged = found["spec"]["data"]["hash"], found["spec"]["signature"]
        by = certificate(decoded(logged["publicKey"]["content"], "a certificate"))
        same = (
            hashed["algorithm"] == "sha256"
            and hmac.compare_digest(str(hashed["value"]).encode(), hashlib.sha256(payload).hexdigest().encode())
            and hmac.compare_digest(decoded(logged["content"], "a signature"), signature)
            and by == signing
        )
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("a log entry is malformed") from None
    if not same:
        raise ValueError("a log entry is of another signature")
