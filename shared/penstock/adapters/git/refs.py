"""Which ref of a remote a GitRef means, and what Flux calls the revision there.

Precedence as in Flux's code: commit, name, tag, semver, branch, and branch ``master`` where nothing is given.
"""

from collections.abc import Mapping, Sequence

from penstock.core.errors import NotFound
from penstock.core.sources.revision import BRANCHES, TAGS, git_revision, short_name
from penstock.core.sources.semver import newest
from penstock.ports.git import GitRef, Head

_PEELED = "^{}"


def named(ref: GitRef) -> Head | None:
    """The head of a ref that names its commit; None where the remote has to be asked."""
    if not ref.commit:
        return None
    full = BRANCHES + ref.branch if ref.branch else ""
    return Head(ref=full, commit=ref.commit, revision=git_revision(ref.branch, ref.commit))


def prefixes(ref: GitRef) -> Sequence[str]:
    """What to ask the remote for: refs that begin so."""
    return [TAGS] if _by_semver(ref) else [_full(ref)]


def choose(ref: GitRef, refs: Mapping[str, str]) -> Head | None:
    """The head among a remote's refs (full name, or with ``^{}`` the commit of an annotated tag -> 40 hex).

    None where the ref is not there. Raises NotFound where no tag fits ``semver``, InvalidDocument where it is no range.
    """
    full = _full(ref)
    if _by_semver(ref):
        tags = [short_name(each) for each in refs if each.startswith(TAGS) and not each.endswith(_PEELED)]
        tag = newest(ref.semver, tags)
        if tag is None:
            raise NotFound(f"no match found for semver: {ref.semver}", reason="GitOperationFailed")
        full = TAGS + tag
    peeled, pointed = refs.get(full + _PEELED), refs.get(full)
    commit = peeled or pointed
    if not commit:
        return None
    revision = git_revision(full if ref.name else short_name(full), commit)
    return Head(ref=full, commit=commit, revision=revision, tag=(pointed or "") if peeled else "")


def _by_semver(ref: GitRef) -> bool:
    return bool(ref.semver) and not ref.name and not ref.tag


def _full(ref: GitRef) -> str:
    if ref.name:
        return ref.name
    return TAGS + ref.tag if ref.tag else BRANCHES + (ref.branch or "master")
