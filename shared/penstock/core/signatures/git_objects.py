"""What of a Git commit or tag is signed (gitformat-signature(5)), and whether a trusted key has signed it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.core.errors import Refused
from penstock.core.signatures import pgp, sshsig

PGP, SSH = b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN SSH SIGNATURE-----"
SSH_SUFFIX = ".sshpub"
_SIGNATURE_HEADERS = (b"gpgsig ", b"gpgsig-sha256 ")
_TAG_SIGNATURE = re.compile(rb"^(?:-----BEGIN PGP SIGNATURE-----|-----BEGIN SSH SIGNATURE-----)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """``payload``: what the signature covers; ``signature``: in ASCII armor, b"" where the object is not signed."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Signers:
    """Whose signatures count: ``pgp``: armored keyrings; ``ssh``: lines as in authorized_keys."""

    pgp: tuple[bytes, ...] = field(default=(), repr=False)
    ssh: tuple[bytes, ...] = field(default=(), repr=False)


def signers(secret: Mapping[str, bytes]) -> Signers:
    """The keys of a Secret: names that end in ``.sshpub`` are SSH's, as in Flux all others PGP's."""
    ssh = tuple(secret[name] for name in sorted(secret) if name.endswith(SSH_SUFFIX))
    return Signers(ssh=ssh, pgp=tuple(secret[name] for name in sorted(secret) if not name.endswith(SSH_SUFFIX)))


def signed_commit(raw: bytes) -> Signed:
    """Of a commit object (without its header): the signature is a header whose lines go on with a space."""
    headers, blank, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    inside = first = b""
    for line in headers.split(b"\n"):
        if line.startswith(b" ") and inside:
            signature += [line[1:]] if inside == first else []
            continue
        inside = next((name for name in _SIGNATURE_HEADERS if line.startswith(name)), b"")
        if not inside:
            kept.append(line)
        elif not first:
            first = inside
            signature.append(line.removeprefix(inside))
    return Signed(payload=b"\n".join(kept) + blank + message, signature=b"\n".join(signature))


def signed_tag(raw: bytes) -> Signed:
    """Of a tag object: the signature stands at the end of its message."""
    starts = [found.start() for found in _TAG_SIGNATURE.finditer(raw)]
    if not starts:
        return Signed(payload=raw, signature=b"")
    return Signed(payload=raw[: starts[-1]], signature=raw[starts[-1] :])


def verify_object(signed: Signed, trusted: Signers, *, what: str, reason: str) -> str:
    """The id of the key that has signed: PGP's, or an SSH key's fingerprint. ``what``: the object, for messages.

    Raises Refused with that ``reason``; which keys are tried depends on the kind of signature alone.
    """
    doing = f"signature verification of {what} failed"
    signature = signed.signature.strip()
    try:
        if signature.startswith(SSH):
            return sshsig.verify(signature, signed.payload, trusted.ssh)
        if signature.startswith(PGP):
            return pgp.verify(signature, signed.payload, trusted.pgp)
    except ValueError as error:
        raise Refused(f"{doing}: {error}", reason=reason) from error
    problem = "its signature is neither PGP's nor SSH's" if signature else "it is not signed"
    raise Refused(f"{doing}: {problem}", reason=reason)
