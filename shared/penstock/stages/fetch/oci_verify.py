"""Whether an artifact is signed as its OCIRepository asks: before it is pulled, by its digest, and never in doubt."""

from penstock.core.errors import InvalidDocument, PenstockError, Refused, Transient
from penstock.core.flux.ocirepository import OciRepository, Verification
from penstock.core.signatures.attached import Attached
from penstock.core.signatures.cosign import trusted_keys, verify_keyed
from penstock.core.signatures.keyless import Identity, verify_keyless
from penstock.core.signatures.keys import REASON
from penstock.core.signatures.notation import trust_policy, verify_notation
from penstock.core.signatures.trust_root import trust_root
from penstock.core.sources.patterns import compiled
from penstock.ports.registry import RemoteImage
from penstock.stages.fetch.visit import Visit, secret_of


def verify(visit: Visit, repository: OciRepository, image: RemoteImage, digest: str) -> bool:
    """Whether a signature of this digest was verified; False where the document, or a trust policy, asks for none.

    Raises Refused with reason VerificationError where there is no such signature, Transient where that cannot be
    found out now, InvalidDocument where an identity is no regular expression.
    """
    asked = repository.verification
    if asked is None:
        return False
    try:
        if asked.provider == "notation":
            return _by_notation(visit, repository, image, digest)
        found = visit.deps.registry.signatures(image, digest, asked.provider)
        if asked.secret:
            verify_keyed(found, trusted_keys(secret_of(visit, repository.namespace, asked.secret)), digest)
        else:
            _without_keys(visit, repository.namespace, asked, found, digest)
    except InvalidDocument:
        raise
    except PenstockError as error:
        raise _told(error, asked, f"{image.name}@{digest}") from error
    return True


def _without_keys(visit: Visit, namespace: str, asked: Verification, found: tuple[Attached, ...], digest: str) -> None:
    identities = [
        Identity(
            issuer=compiled(each.issuer, f"spec.verify.matchOIDCIdentity[{index}].issuer"),
            subject=compiled(each.subject, f"spec.verify.matchOIDCIdentity[{index}].subject"),
        )
        for index, each in enumerate(asked.identities)
    ]
    verify_keyless(found, identities, trust_root(secret_of(visit, namespace, asked.trusted_root_secret)), digest)


def _by_notation(visit: Visit, repository: OciRepository, image: RemoteImage, digest: str) -> bool:
    asked = repository.verification
    policy = trust_policy(secret_of(visit, repository.namespace, asked.secret if asked else ""), str(image.name))
    if policy.skips:
        return False
    found = visit.deps.registry.signatures(image, digest, "notation")
    verify_notation(found, policy, digest, visit.look.now)
    return True


def _told(error: PenstockError, asked: Verification, artifact: str) -> PenstockError:
    text = f"failed to verify the signature using provider '{asked}': {error} for '{artifact}'"
    if isinstance(error, Transient):
        return Transient(text, reason=REASON, retry_after=error.retry_after)
    return Refused(text, reason=REASON)
