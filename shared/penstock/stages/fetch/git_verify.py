"""Whether a commit, or the tag that names it, is signed as its GitRepository asks: before it becomes an artifact."""

from penstock.core.errors import InvalidDocument, Refused
from penstock.core.flux.gitrepository import GitRepository
from penstock.core.signatures.git_objects import Signers, signed_commit, signed_tag, signers, verify_object
from penstock.core.sources.commit import CommitTree
from penstock.core.sources.revision import TAGS, short_name
from penstock.core.tree import MemoryTree
from penstock.ports.git import Head
from penstock.stages.fetch.visit import Visit, secret_of

_UNSIGNED = "InvalidGitObject"


def check_mode(repository: GitRepository) -> None:
    """Raises InvalidDocument where a tag's signature is asked for, and the ref names no tag: no retry mends that."""
    reference, asked = repository.reference, repository.verification
    names_tag = reference.name.startswith(TAGS) or (not reference.name and bool(reference.tag or reference.semver))
    if asked is not None and asked.tag and (reference.commit or not names_tag):
        error = InvalidDocument("asks for a tag's signature, and spec.ref names no tag", path="spec.verify.mode")
        error.reason = "InvalidVerificationMode"
        raise error


def verify(visit: Visit, repository: GitRepository, head: Head, tree: MemoryTree) -> str:
    """What was verified, in Flux's words; "" where the document asks for nothing.

    Raises Refused, with one of Flux's reasons, where a signature that is asked for does not hold.
    """
    asked = repository.verification
    if asked is None:
        return ""
    if not isinstance(tree, CommitTree) or not tree.commit:
        raise Refused(f"commit {head.commit} cannot be verified", reason=_UNSIGNED)
    trusted = _trusted(visit, repository, asked.secret)
    lines = []
    if asked.tag:
        lines.append(_verified_tag(head, tree, trusted))
    if asked.head:
        what = f"commit '{head.commit}'"
        key = verify_object(signed_commit(tree.commit), trusted, what=what, reason="InvalidCommitSignature")
        lines.append(f"- {what} with key '{key}'")
    return "verified signature of\n\t" + "\n\t".join(lines)


def _trusted(visit: Visit, repository: GitRepository, secret: str) -> Signers:
    try:
        return signers(secret_of(visit, repository.namespace, secret))
    except Refused as error:
        raise Refused(f"public keys secret error: {error}", reason="VerificationError") from error


def _verified_tag(head: Head, tree: CommitTree, trusted: Signers) -> str:
    what = f"tag '{short_name(head.ref)}'"
    signed = signed_tag(tree.tag)
    if not signed.signature:
        raise Refused(f"cannot verify signature of {what} since it is not signed", reason=_UNSIGNED)
    key = verify_object(signed, trusted, what=what, reason="InvalidTagSignature")
    if not signed.payload.startswith(f"object {head.commit}\ntype commit\n".encode()):
        raise Refused(f"{what} is signed, but is not of commit '{head.commit}'", reason="InvalidTagSignature")
    return f"- {what} with key '{key}'"
