"""What a build reads from elsewhere: directories of Git repositories and OCI artifacts, and files over HTTP.

The core only asks: a ``Remotes`` fetches, within its own limits of time and size. Each repository at a ref and each
file is asked for once in a build, so all that a build reads of one is one commit.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from penstock.core.errors import Refused
from penstock.core.kustomize.remote_paths import without_login
from penstock.core.tree import Blob, Inputs, MemoryTree, RecordingTree, Tree, blob

if TYPE_CHECKING:  # few builds read from elsewhere: the others start without
    from penstock.core.kustomize.artifact_url import ArtifactUrl
    from penstock.core.kustomize.repository_url import RepositoryUrl

_LONGEST_URL = 2048  # pins stand in status records


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """A repository at a commit (40 hex), or an artifact at a digest (``sha256:<hex>``).

    ``ref``: the full name of what led there, or the tag; "" where the commit or digest was named.
    """

    tree: Tree
    commit: str
    ref: str = ""


class Remotes(Protocol):
    """Whoever fetches for a build.

    Errors: NotFound (no such repository, ref, artifact or file), Refused (an address or a login that is not ours to
    use, over a limit, a protocol that is not spoken), Transient (unreachable, timeout).
    """

    def checkout(self, url: "RepositoryUrl") -> Checkout:
        """The tree of a repository where the URL's ref points now."""

    def pull(self, url: "ArtifactUrl") -> Checkout:
        """The files of an artifact where the URL's tag points now."""

    def download(self, url: str) -> bytes:
        """A file behind an http or https URL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """What a build read: a repository (``ref`` as written, ``commit``), an artifact (``ref``: its tag) or a file.

    ``digest``: ``sha256:<hex>`` of the artifact's manifest, or of the file.
    ``url``: for people, without a login and without a query.
    """

    url: str
    ref: str = ""
    commit: str = ""
    digest: str = ""


class RemoteReads:
    """Of one build. ``remotes``: None refuses everything; ``most``: repositories and files."""

    __slots__ = ("_checkouts", "_files", "_most", "_pins", "_remotes", "warnings")

    def __init__(self, remotes: Remotes | None, most: int) -> None:
        self._remotes, self._most = remotes, most
        self._checkouts: dict[tuple[str, str], tuple[Checkout, RecordingTree]] = {}
        self._files: dict[str, Blob] = {}
        self._pins: list[Pin] = []
        self.warnings: list[str] = []

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What was read, in the order in which it was met."""
        return tuple(self._pins)

    @property
    def reads(self) -> tuple[tuple[Tree, Inputs], ...]:
        """Each remote tree with what was read of it; files over HTTP as one tree, by their names for people."""
        found: list[tuple[Tree, Inputs]] = [
            (checkout.tree, recorded.inputs()) for checkout, recorded in self._checkouts.values()
        ]
        if self._files:
            files = {without_login(url): data for url, data in self._files.items()}
            found.append((MemoryTree(files), Inputs(files=tuple(sorted(files)))))
        return tuple(found)

    def checkout(self, url: "RepositoryUrl", named: str) -> tuple[Checkout, RecordingTree]:
        """The repository at the URL's ref, the same for all of the build.

        ``named``: the URL and who names it, for messages.
        """
        key = url.clone_url, url.ref
        if key not in self._checkouts:
            found = self._allowed(url.raw, named).checkout(url)
            self._checkouts[key] = found, RecordingTree(found.tree)
            place = without_login(url.clone_url)
            self._pins.append(Pin(url=place, ref=url.ref, commit=found.commit))
            if found.ref and not found.ref.startswith("refs/tags/"):
                said = f"ref {url.ref}" if url.ref else "no ref"
                self.warnings.append(
                    f"{place}: {said} is not pinned: it is at {found.commit} now; "
                    f"write ?ref={found.commit} to keep it there"
                )
        return self._checkouts[key]

    def artifact(self, url: "ArtifactUrl", named: str) -> tuple[Checkout, RecordingTree]:
        """The artifact at the URL's tag or digest, the same for all of the build; ``named`` as above."""
        key = url.place, url.digest or url.tag
        if key not in self._checkouts:
            found = self._allowed(url.raw, named).pull(url)
            self._checkouts[key] = found, RecordingTree(found.tree)
            self._pins.append(Pin(url=url.place, ref=url.tag, digest=found.commit))
            if url.tag:
                pinned = f"{url.place}@{found.commit}"
                said = f"the tag {url.tag} is not pinned: it is at {found.commit} now; write {pinned} to keep it there"
                self.warnings.append(f"{url.place}: {said}")
        return self._checkouts[key]

    def file(self, url: str, named: str) -> Blob:
        """A file over HTTP; ``named`` as above."""
        if url not in self._files:
            data = self._allowed(url, named).download(url)
            self._files[url] = blob(data)
            digest = hashlib.sha256(data).hexdigest()
            self._pins.append(Pin(url=without_login(url.partition("?")[0]), digest=f"sha256:{digest}"))
        return self._files[url]

    def drop(self, url: str) -> None:
        """A file that was read is none of the build's after all."""
        place = without_login(url.partition("?")[0])
        self._pins = [pin for pin in self._pins if pin.url != place or not pin.digest]

    def _allowed(self, url: str, named: str) -> Remotes:
        if self._remotes is None:
            raise Refused(
                f"{named}: remote bases and files are not read: commit a copy and name that, or allow them "
                "(`penstock build --enable-remote-bases`; in a Plane, policy.noRemoteBases: false)",
                reason="BuildFailed",
            )
        from penstock.core.kustomize.repository_url import holds_password  # noqa: PLC0415 - see above

        if len(url) > _LONGEST_URL:
            raise Refused(f"{named[:200]}…: the URL is longer than {_LONGEST_URL} characters", reason="BuildFailed")
        if holds_password(url):
            raise Refused(f"{named}: the URL holds a password: remote bases are read without a login")
        if len(self._pins) >= self._most:
            raise Refused(f"{named}: the build reads more than {self._most} remote repositories and files")
        return self._remotes
