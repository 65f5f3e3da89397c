"""Looking at a GitRepository: where its ref points now, and the files of that commit."""

from dataclasses import replace

from penstock.core.errors import PenstockError, Refused, Terminal, Transient
from penstock.core.flux.gitrepository import GitRepository
from penstock.core.flux.source_fields import AWS, AZURE, GITHUB
from penstock.core.identity.git_hosts import APP_ID
from penstock.core.sources.commit import CommitTree
from penstock.core.sources.ignore import apply_ignore
from penstock.core.sources.include import overlay
from penstock.core.sources.outcome import commit_words, revision_words
from penstock.core.sources.sparse import sparse
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.git import Head, Limits, Remote
from penstock.stages.fetch.git_verify import check_mode, verify
from penstock.stages.fetch.identity import identity_of
from penstock.stages.fetch.includes import digests, included_by
from penstock.stages.fetch.remote import remote_of
from penstock.stages.fetch.submodules import with_submodules
from penstock.stages.fetch.visit import Found, Visit, failure, is_stored, keep, proxy_of, unchanged

_LIMITS = Limits(bytes=256 * 1024 * 1024)
"""A clone is held in memory three times over while it becomes an artifact; a function has 1 GiB."""
_CHECKOUT = "failed to checkout and determine revision"


def look(visit: Visit, repository: GitRepository) -> Found:
    """Ask the remote; fetch, verify and store its tree unless the very same is stored already.

    Raises InvalidDocument where ``verify.mode`` does not fit the ref.
    """
    deps = visit.deps
    check_mode(repository)
    try:
        remote = _remote(visit, repository)
        included = included_by(repository, visit.message.cluster, deps)
    except Terminal as error:
        return failure(visit, error)
    try:
        head = _head(remote, repository, deps)
    except PenstockError as error:
        return failure(visit, error, doing=_CHECKOUT)
    asked = repository.verification is not None
    if is_stored(visit, head.revision, verified=asked) and visit.held.included == digests(included):
        return unchanged(visit, head.revision, revision_words(head.revision))
    others = [(each.include, each.tree(deps)) for each in included]
    try:
        head, checked_out = _checkout(remote, head, repository, deps)
        if repository.recurse_submodules:
            checked_out = with_submodules(checked_out, remote, _LIMITS, deps)
        tree = overlay(sparse(checked_out, repository.sparse_checkout), others)
    except PenstockError as error:
        return failure(visit, error, doing=_CHECKOUT)
    try:
        verified = verify(visit, repository, head, checked_out)
    except PenstockError as error:
        return failure(visit, error)
    words = commit_words(head.revision, checked_out.subject if isinstance(checked_out, CommitTree) else "")
    words = replace(words, verified=verified)
    kept = keep(visit, head.revision, apply_ignore(tree, repository.ignore), words)
    return Found(outcome=kept.outcome, tree=kept.tree, included=digests(included))


def _remote(visit: Visit, repository: GitRepository) -> Remote:
    remote = replace(remote_of(repository, visit.message.cluster, visit.deps), proxy=proxy_of(visit, repository))
    if repository.provider in (AWS, AZURE):
        return replace(remote, identity=identity_of(visit, repository))
    is_app = APP_ID in remote.credentials
    if is_app and repository.provider != GITHUB:
        problem = (
            f"secretRef '{repository.namespace}/{repository.secret}' has github app data but provider is not set to"
        )
        raise Refused(f"{problem} github", reason="InvalidProviderConfiguration")
    return replace(remote, github_app=repository.provider == GITHUB)


def _checkout(remote: Remote, head: Head, repository: GitRepository, deps: Deps) -> tuple[Head, MemoryTree]:
    """The head's files; where it moved on between the two questions, those of the new head."""
    try:
        return head, _files(remote, head, deps)
    except Transient:
        again = _head(remote, repository, deps)
        if again == head:
            raise
        return again, _files(remote, again, deps)


def _head(remote: Remote, repository: GitRepository, deps: Deps) -> Head:
    with deps.telemetry.span("resolve head", url=remote.url) as step:
        head = deps.git.resolve(remote, repository.reference)
        step.note(revision=head.revision)
        return head


def _files(remote: Remote, head: Head, deps: Deps) -> MemoryTree:
    with deps.telemetry.span("checkout", url=remote.url, revision=head.revision):
        return deps.git.checkout(remote, head, _LIMITS)
