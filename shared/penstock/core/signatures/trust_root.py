"""Sigstore's trusted root: whose certificates and logs count, and from when to when.

Format: ``trusted_root.json`` of sigstore/protobuf-specs. Without a Secret it is the root of the public instance, as the
installed release of sigstore-python brings it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from penstock.core.signatures.cosign import decoded, json_of
from penstock.core.signatures.keys import refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.x509 import Certificate

KEY = "trusted_root.json"
_MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
_PUBLIC = ("_store", "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev", KEY)
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """A transparency log. ``id``: SHA-256 of its key; ``valid``: from, to (UTC)."""

    id: bytes
    key: "PublicKeyTypes"
    valid: tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """A certificate authority: its chain, the root last."""

    chain: tuple["Certificate", ...]
    valid: tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustRoot:
    """``data``: the file as it is; ``rekor``, ``ct``: logs of signatures and of certificates."""

    data: bytes = field(repr=False)
    authorities: tuple[Authority, ...]
    rekor: tuple[Log, ...]
    ct: tuple[Log, ...]


def trust_root(secret: Mapping[str, bytes]) -> TrustRoot:
    """The root in a Secret's ``trusted_root.json``; of an empty Secret the public instance's.

    Raises Refused where it is none, or the public one is not installed.
    """
    if secret and KEY not in secret:
        raise refused(f"the Secret has no {KEY}")
    try:
        return _parsed(secret[KEY] if secret else _public())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused(f"{KEY} is not Sigstore's trusted root") from error


def _public() -> bytes:
    try:
        package = files("sigstore")
    except ModuleNotFoundError as error:
        raise refused(
            "the public Sigstore instance's trusted root comes with sigstore-python: pip install 'penstock[sigstore]', "
            "or name one of your own in spec.verify.trustedRootSecretRef"
        ) from error
    return package.joinpath(*_PUBLIC).read_bytes()


def _parsed(data: bytes) -> TrustRoot:
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - only where something is verified

    found = json_of(data, KEY)
    if found["mediaType"] != _MEDIA_TYPE:
        raise ValueError("another media type")
    authorities = tuple(
        Authority(
            chain=tuple(
                load_der_x509_certificate(decoded(each["rawBytes"], "a certificate"))
                for each in authority["certChain"]["certificates"]
            ),
            valid=_valid(authority.get("validFor")),
        )
        for authority in found["certificateAuthorities"]
    )
    return TrustRoot(data=data, authorities=authorities, rekor=_logs(found["tlogs"]), ct=_logs(found["ctlogs"]))


def _logs(entries: Sequence[Mapping[str, Any]]) -> tuple[Log, ...]:
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415 - see _parsed

    return tuple(
        Log(
            id=decoded(each["logId"]["keyId"], "a log's id"),
            key=load_der_public_key(decoded(each["publicKey"]["rawBytes"], "a key")),
            valid=_valid(each["publicKey"].get("validFor")),
        )
        for each in entries
    )


def _valid(period: Mapping[str, str] | None) -> tuple[datetime, datetime]:
    start, end = (period or {}).get("start"), (period or {}).get("end")
    return _moment(start) if start else _EVER[0], _moment(end) if end else _EVER[1]


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
