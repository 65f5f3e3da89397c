"""Cosign with public keys: simple signing payloads, and in-toto statements in DSSE envelopes of Sigstore bundles.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md, and the protocol of DSSE. As in Flux, no
transparency log is asked where the keys are given. A signature counts for the digest that it names: neither the tag
that it stands under nor the artifact that it refers to is a proof.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core.signatures.attached import SIMPLE_SIGNING, Attached
from penstock.core.signatures.keys import is_signed, malformed, public_key, refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

T = TypeVar("T")

SIGNATURE = "dev.cosignproject.cosign/signature"
KEY_SUFFIX = ".pub"
IN_TOTO = "application/vnd.in-toto+json"
_STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
_MOST_KEYS = 64


def trusted_keys(secret: Mapping[str, bytes]) -> dict[str, "PublicKeyTypes"]:
    """The keys of a Secret whose names end in ``.pub``. Raises Refused where there is none, or one is no key."""
    named = sorted(name for name in secret if name.endswith(KEY_SUFFIX))[:_MOST_KEYS]
    if not named:
        raise refused("the Secret has no public key: its keys' names end in .pub")
    return {name: public_key(secret[name], f"the Secret's {name}") for name in named}


def verify_keyed(found: Iterable[Attached], keys: Mapping[str, "PublicKeyTypes"], digest: str) -> str:
    """The name of a key that has signed this digest. Raises Refused, saying what is wrong with each signature."""
    return first_that_holds(found, lambda each: _signed_by(each, keys, digest))


def first_that_holds(found: Iterable[Attached], check: Callable[[Attached], T]) -> T:
    """What ``check`` says of the first signature for which it raises no ValueError. Raises Refused: why of each.

    Whoever may write beside an artifact may put anything there: what cannot be read hides no signature that holds.
    """
    problems = []
    for each in found:
        try:
            return check(each)
        except ValueError as error:
            problems.append(str(error))
        except malformed() as error:
            problems.append(f"one cannot be read ({type(error).__name__})")
    told = "; ".join(dict.fromkeys(problems))
    raise refused(f"no matching signatures were found{f' ({len(problems)} looked at: {told})' if told else ''}")


def _signed_by(found: Attached, keys: Mapping[str, "PublicKeyTypes"], digest: str) -> str:
    """The key's name. Raises ValueError. Nothing of a payload is read before its signature holds."""
    if found.media_type == SIMPLE_SIGNING:
        signature = decoded(found.annotations.get(SIGNATURE, ""), "a signature")
        name = _key_of(keys, signature, found.data)
        check_payload(found.data, digest)
        return name
    envelope = json_of(found.data, "a bundle").get("dsseEnvelope")
    if not isinstance(envelope, Mapping):
        raise ValueError("a bundle has no DSSE envelope")  # noqa: TRY004 - data, not a caller's mistake
    payload, payload_type, signatures = envelope_parts(envelope)
    signed = pre_authentication(payload_type, payload)
    for signature in signatures:
        name = next((each for each, key in keys.items() if is_signed(key, signature, signed)), "")
        if name:
            check_statement(payload_type, payload, digest)
            return name
    raise ValueError("one is by another key")


def _key_of(keys: Mapping[str, "PublicKeyTypes"], signature: bytes, data: bytes) -> str:
    name = next((each for each, key in keys.items() if is_signed(key, signature, data)), "")
    if not name:
        raise ValueError("one is by another key, or its payload was changed")
    return name


def check_payload(payload: bytes, digest: str) -> None:
    """Whether a simple signing payload is about this digest. Raises ValueError."""
    critical = json_of(payload, "a payload").get("critical")
    image = critical.get("image") if isinstance(critical, Mapping) else None
    named = image.get("docker-manifest-digest") if isinstance(image, Mapping) else None
    _same_digest(named, digest)


def check_statement(payload_type: str, payload: bytes, digest: str) -> None:
    """Whether an in-toto statement has this digest among its subjects. Raises ValueError."""
    statement = json_of(payload, "a statement")
    if payload_type != IN_TOTO or statement.get("_type") not in _STATEMENTS:
        raise ValueError("an envelope holds no in-toto statement")
    subjects = statement.get("subject")
    digests = (
        [each.get("digest") for each in subjects if isinstance(each, Mapping)] if isinstance(subjects, list) else []
    )
    named = [f"sha256:{each.get('sha256')}" for each in digests if isinstance(each, Mapping)]
    if not any(hmac.compare_digest(each.encode(), digest.encode()) for each in named):
        _same_digest(named[0] if named else None, digest)


def envelope_parts(envelope: Mapping[str, Any]) -> tuple[bytes, str, list[bytes]]:
    """Payload, its type, and the signatures of a DSSE envelope. Raises ValueError."""
    payload_type, signatures = envelope.get("payloadType"), envelope.get("signatures")
    if not isinstance(payload_type, str) or not isinstance(signatures, list) or not signatures:
        raise ValueError("a DSSE envelope is malformed")
    texts = [each.get("sig") if isinstance(each, Mapping) else None for each in signatures[:16]]
    return decoded(envelope.get("payload"), "a payload"), payload_type, [decoded(each, "a signature") for each in texts]


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE envelope's signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def json_of(data: bytes, what: str) -> dict[str, Any]:
    """An object in JSON. Raises ValueError."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no JSON")  # noqa: TRY004 - data, not a caller's mistake
    return found


def decoded(text: Any, what: str) -> bytes:
    """Bytes in base64. Raises ValueError."""
    try:
        found = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not found:
        raise ValueError(f"{what} is no base64")
    return found


def _same_digest(named: Any, digest: str) -> None:
    if not isinstance(named, str) or not hmac.compare_digest(named.encode(), digest.encode()):
        shown = named[:80] if isinstance(named, str) else "nothing"
        raise ValueError(f"one is of another digest ({shown})")
