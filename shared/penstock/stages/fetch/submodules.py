"""The files of a repository's submodules, fetched at the commits that its tree names, and of theirs."""

from dataclasses import replace

from penstock.core.errors import Refused
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.commit import CommitTree
from penstock.core.sources.submodules import DEEPEST, FILE, MOST, Submodule, same_host, submodules
from penstock.core.tree import Blob, MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.git import Head, Limits, Remote

_FAILED = "GitOperationFailed"


def with_submodules(tree: MemoryTree, remote: Remote, limits: Limits, deps: Deps) -> MemoryTree:
    """The tree with the files of its submodules below their paths; the same tree where it has none.

    Credentials go to submodules on the repository's own host only. Raises the errors of Git.checkout, Terminal where
    ``.gitmodules`` does not say where one is, Refused where they are too many, too deep or too large together.
    """
    if not isinstance(tree, CommitTree) or not tree.submodules:
        return tree
    files = dict(tree.items())
    pending = [("", 1, remote, each) for each in _named(tree, str(remote.url))]
    fetched = 0
    while pending:
        prefix, depth, parent, each = pending.pop()
        fetched += 1
        if fetched > MOST or depth > DEEPEST:
            raise Refused(f"more than {MOST} submodules, or deeper than {DEEPEST}", reason=_FAILED)
        place = _remote(each, parent, remote)
        found = deps.git.checkout(place, Head(ref="", commit=each.commit, revision=""), limits)
        below = f"{prefix}{each.path}/"
        files.update({below + path: held for path, held in found.items()})
        _bound(files, limits)
        if isinstance(found, CommitTree):
            pending += [(below, depth + 1, place, inner) for inner in _named(found, str(place.url))]
    return CommitTree(files, subject=tree.subject, commit=tree.commit, tag=tree.tag)


def _named(tree: CommitTree, url: str) -> tuple[Submodule, ...]:
    if not tree.submodules:
        return ()
    described = tree.read(FILE)
    return submodules(described.data if described else b"", tree.submodules, url)


def _remote(each: Submodule, parent: Remote, root: Remote) -> Remote:
    """Guarded wherever it is: who writes ``.gitmodules`` is not the operator, even in the plane's own source."""
    url = GuardedUrl(each.url, parent.url.allowed_hosts if isinstance(parent.url, GuardedUrl) else ())
    if same_host(each.url, str(root.url)):
        allowed = root.url.allowed_hosts if isinstance(root.url, GuardedUrl) else None
        return replace(root, url=each.url if allowed is None else url)
    trust = {name: data for name, data in root.credentials.items() if name in ("ca.crt", "caFile")}
    return replace(root, url=url, credentials=trust, identity=None, github_app=False)


def _bound(files: dict[str, Blob], limits: Limits) -> None:
    if len(files) > limits.files or sum(len(each.data) for each in files.values()) > limits.bytes:
        raise Refused("the repository and its submodules are over the limit of a clone", reason=_FAILED)
