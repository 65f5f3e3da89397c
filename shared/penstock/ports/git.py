"""The git port: what a remote has, and one tree of it.

Errors: Transient with reason ``GitOperationFailed`` (unreachable, timeout, 5xx), Refused with reason
``AuthenticationFailed`` (401, 403), NotFound with reason ``GitOperationFailed`` (no such repository or ref),
Terminal ``URLInvalid``. Messages never hold credentials, nor URLs with userinfo.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from penstock.core.flux.gitrepository import Reference
from penstock.core.tree import MemoryTree
from penstock.ports.identity import CloudIdentity


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A repository: ``url`` without userinfo, and how to get in.

    ``credentials``: the data of Flux's Secret (username, password, bearerToken, ca.crt, …; flux-core §1.3);
    ``identity``: whose cloud identity logs in instead (aws: CodeCommit, azure: Azure DevOps); ``github_app``: the
    Secret is a GitHub App's; ``proxy``: its URL.
    ``timeout``: seconds for one call.
    """

    url: str
    credentials: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    identity: CloudIdentity | None = None
    github_app: bool = False
    proxy: str = field(default="", repr=False)
    timeout: float = 60.0


GitRef = Reference
"""Which head: the fields of Flux's ``ref``, "" where not given. Precedence: commit, name, tag, semver, branch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A resolved ref. ``ref``: full name (``refs/heads/main``); ``revision``: Flux's ``main@sha1:<40 hex>``.

    ``tag``: id of the annotated tag that the ref names, "" where it names a commit.
    """

    ref: str
    commit: str
    revision: str
    tag: str = ""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The ids to ask the remote for: the commit, and the annotated tag."""
        return (self.commit, self.tag) if self.tag else (self.commit,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a clone may cost before it is refused."""

    files: int = 50_000
    bytes: int = 512 * 1024 * 1024
    file_bytes: int = 64 * 1024 * 1024


class Git(Protocol):
    """One remote at a time; nothing is kept on disk."""

    def resolve(self, remote: Remote, ref: GitRef) -> Head:
        """Where the ref points now (one ls-remote)."""

    def checkout(self, remote: Remote, head: Head, limits: Limits) -> MemoryTree:
        """The files of that commit, fetched at depth 1. Symlinks are left out, submodules named.

        Comes as a CommitTree with the raw commit, and the raw tag where ``head.tag`` names one: both have the ids that
        the head names, so who checks a signature checks that of the files.

        Raises Transient where the ref moved on meanwhile and the commit cannot be had by its id.
        """
