"""Sigstore bundles that were signed without keys (Cosign 3, GitHub's attestations), verified by sigstore-python.

It checks Fulcio's chain and SCT, Rekor's inclusion proof and checkpoint, signed timestamps, and the envelope's
signature; offline, with the trusted root that it is given. It is an extra: most sources need none of it.
"""

import re
from typing import TYPE_CHECKING

from penstock.core.signatures.keys import refused

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class _Anybody:
    """Who signed is asked afterwards: see keyless.check_identity."""

    def verify(self, _certificate: "Certificate") -> None:
        """Nobody is refused here."""


def opened(bundle: bytes, trusted_root: bytes) -> "tuple[str, bytes, Certificate]":
    """Payload type, payload and signing certificate of a bundle's envelope.

    Raises ValueError where anything about it does not hold, Refused where sigstore-python is not installed.
    """
    try:
        from sigstore.errors import Error  # noqa: PLC0415 - heavy, and an extra
        from sigstore.models import Bundle, TrustedRoot  # noqa: PLC0415 - see above
        from sigstore.verify import Verifier  # noqa: PLC0415 - see above
        from sigstore_models.trustroot.v1 import TrustedRoot as Inner  # noqa: PLC0415 - see above
    except ImportError as error:
        raise refused(
            "a Sigstore bundle without keys needs sigstore-python: pip install 'penstock[sigstore]'"
        ) from error
    try:
        verifier = Verifier(trusted_root=TrustedRoot(Inner.from_json(trusted_root)))
        found = Bundle.from_json(bundle)
        payload_type, payload = verifier.verify_dsse(found, _Anybody())
    except (Error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"a bundle does not hold: {_told(error)}") from error
    return payload_type, payload, found.signing_certificate


def _told(error: Exception) -> str:
    """What is wrong, in a line: without the values that pydantic and Merkle proofs tell with it."""
    said = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"\d+ validation errors? for Bundle ", "", re.split(r" \[type=|: expected ", said)[0])[:200]
