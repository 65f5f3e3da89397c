"""Remote bases and files of a build, fetched through the git, registry and downloads ports.

Without a login, whatever the URL and the plane's secrets say: ``reconcile`` holds the clusters' credentials, and a
manifest's URL is no place to take any to. One commit of a repository stays in memory from run to run, so that an
interval's look at a base that has not moved costs one small request, and none where its commit is named.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.kustomize.artifact_url import ArtifactUrl
from penstock.core.kustomize.remote_paths import without_login
from penstock.core.kustomize.remotes import Checkout
from penstock.core.kustomize.repository_url import RepositoryUrl
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.tree import MemoryTree
from penstock.ports.clock import Clock
from penstock.ports.downloads import Download, Downloads
from penstock.ports.git import Git, GitRef, Head, Limits, Remote
from penstock.ports.registry import PullLimits, Registry, RemoteImage

T = TypeVar("T")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_USER = re.compile(r"(?<=://)[^/@]*@")
_LOOPBACK = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?")
_ANYWHERE = ("0.0.0.0/0", "::/0")
_CLONE = Limits(files=50_000, bytes=128 * 1024 * 1024, file_bytes=16 * 1024 * 1024)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What all remotes of one build may cost. ``seconds``: together; ``call``: at most for one of them.

    ``clone``: for each repository; ``file_bytes``: for each file over HTTP; ``bytes``: for all of them, since a build
    holds them all at once.
    """

    seconds: float = 120.0
    call: float = 60.0
    clone: Limits = _CLONE
    file_bytes: int = 16 * 1024 * 1024
    bytes: int = 256 * 1024 * 1024


class Checkouts:
    """Trees by URL and commit, kept from build to build; the least recently used go first. For any thread."""

    def __init__(self, size: int = 128 * 1024 * 1024) -> None:
        self._size, self._bytes = size, 0
        self._trees: OrderedDict[tuple[str, str], tuple[MemoryTree, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str, commit: str) -> MemoryTree | None:
        """The tree, where it is kept."""
        with self._lock:
            found = self._trees.get((url, commit))
            if found is None:
                return None
            self._trees.move_to_end((url, commit))
            return found[0]

    def put(self, url: str, commit: str, tree: MemoryTree) -> None:
        """Keep a tree, unless it is larger than all that may be kept."""
        size = sum(len(blob.data) for _, blob in tree.items())
        if size > self._size:
            return
        with self._lock:
            known = self._trees.pop((url, commit), None)
            self._bytes += size - (known[1] if known else 0)
            self._trees[url, commit] = tree, size
            while self._bytes > self._size:
                self._bytes -= self._trees.popitem(last=False)[1][1]


class AnonymousRemotes:
    """See core.kustomize.remotes.Remotes. For one build.

    ``allowed_hosts``: of the policy; None where the URLs are the operator's own and reach what they name.
    """

    def __init__(
        self,
        ports: tuple[Git, Registry, Downloads, Clock],
        checkouts: Checkouts,
        allowed_hosts: tuple[str, ...] | None,
        spending: Spending | None = None,
    ) -> None:
        self._git, self._registry, self._downloads, self._clock = ports
        self._checkouts, self._allowed_hosts, self._spending = checkouts, allowed_hosts, spending or Spending()
        self._until = self._clock.monotonic() + self._spending.seconds
        self._left = self._spending.bytes

    def checkout(self, url: RepositoryUrl) -> Checkout:
        """The tree of a repository where the URL's ref points now."""
        place = _https(url)
        remote = Remote(url=self._guarded(place), timeout=self._seconds(place, url.timeout))
        head = _saying(place, lambda: _resolved(self._git, remote, url.ref))
        tree = self._checkouts.get(self._key(place), head.commit)
        if tree is None:
            remote = Remote(url=remote.url, timeout=self._seconds(place, url.timeout))
            limits = replace(self._spending.clone, bytes=max(1, min(self._spending.clone.bytes, self._left)))
            tree = _saying(place, lambda: self._git.checkout(remote, head, limits))
            self._checkouts.put(self._key(place), head.commit, tree)
        self._spend(place, sum(len(blob.data) for _, blob in tree.items()))
        return Checkout(tree=tree, commit=head.commit, ref=head.ref)

    def pull(self, url: ArtifactUrl) -> Checkout:
        """The files of an artifact's first layer, as ``flux push artifact`` and ``oras push`` of a tarball make it."""
        place = url.place
        image = RemoteImage(
            name=url.image,
            insecure=_LOOPBACK.fullmatch(url.image.registry) is not None,  # as every client of registries has it
            allowed_hosts=_ANYWHERE if self._allowed_hosts is None else self._allowed_hosts,
            timeout=self._seconds(place, url.timeout),
        )
        digest = url.digest or _saying(place, lambda: self._registry.digest(image, url.tag))
        tree = self._checkouts.get(self._key(place), digest)
        if tree is None:
            image = replace(image, timeout=self._seconds(place, url.timeout))
            most, clone = max(1, min(self._spending.clone.bytes, self._left)), self._spending.clone
            limits = PullLimits(files=clone.files, bytes=most, packed_bytes=most)
            tree = _saying(place, lambda: self._registry.pull(image, digest, media_type="", limits=limits)).tree
            self._checkouts.put(self._key(place), digest, tree)
        self._spend(place, sum(len(blob.data) for _, blob in tree.items()))
        return Checkout(tree=tree, commit=digest, ref=url.tag)

    def download(self, url: str) -> bytes:
        """A file behind an http or https URL."""
        place = without_login(url)
        request = Download(
            url=self._guarded(_USER.sub("", url)),
            timeout=self._seconds(place, self._spending.call),
            most=max(1, min(self._spending.file_bytes, self._left)),
        )
        found = _saying(place, lambda: self._downloads.get(request))
        self._spend(place, len(found))
        return found

    def _spend(self, place: str, size: int) -> None:
        self._left -= size
        if self._left < 0:
            text = f"{place}: all that this build reads from elsewhere is larger than {self._spending.bytes} bytes"
            raise Refused(text, reason="BuildFailed")

    def _guarded(self, url: str) -> str:
        return url if self._allowed_hosts is None else GuardedUrl(url, self._allowed_hosts)

    def _key(self, place: str) -> str:
        """What is kept for those who may reach an address is for no others."""
        return f"{place} {self._allowed_hosts}"

    def _seconds(self, place: str, wanted: float) -> float:
        left = self._until - self._clock.monotonic()
        if left <= 0:
            raise Transient(
                f"{place}: the remote bases of this build took more than {self._spending.seconds:g} s",
                reason="BuildFailed",
            )
        return min(left, wanted, self._spending.call)


def _https(url: RepositoryUrl) -> str:
    """What the git port is asked for: no user, no other protocol."""
    place = _USER.sub("", url.clone_url)
    shown = without_login(url.clone_url)
    if not place.lower().startswith(("https://", "http://")):
        raise Refused(
            f"{shown}: remote bases are read over https, without a login: write an https:// URL of a public repository",
            reason="BuildFailed",
        )
    try:
        parts = urlsplit(place)
        usable = bool(parts.hostname) and (parts.port or 1) > 0 and place.isprintable() and " " not in place
    except ValueError:
        usable = False
    if not usable:
        raise Terminal(f"{shown}: it is no usable URL of a repository", reason="BuildFailed")
    return place


def _resolved(git: Git, remote: Remote, ref: str) -> Head:
    """Where a ref points, in git's own order: HEAD for none, a commit, a full name, a tag, a branch."""
    if not ref:
        return git.resolve(remote, GitRef(name="HEAD"))
    if _COMMIT.fullmatch(ref):
        return git.resolve(remote, GitRef(commit=ref))
    if ref.startswith("refs/") or ref == "HEAD":
        return git.resolve(remote, GitRef(name=ref))
    try:
        return git.resolve(remote, GitRef(tag=ref))
    except NotFound:
        return git.resolve(remote, GitRef(branch=ref))


def _saying(place: str, call: Callable[[], T]) -> T:
    """The call's result; its errors again, naming the place where they do not yet."""
    try:
        return call()
    except PenstockError as error:
        if place in str(error):
            raise
        text = f"{place}: {error}"
        if isinstance(error, Transient):
            raise Transient(text, reason=error.reason, retry_after=error.retry_after) from error
        raise type(error)(text, reason=error.reason) from error
