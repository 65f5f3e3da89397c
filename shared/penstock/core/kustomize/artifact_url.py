"""URLs of OCI artifacts in ``resources`` and ``components``: ``oci://registry/repository:tag//directory``.

kustomize has none: the form is that of its Git URLs, with the names of OCI references. A digest (``@sha256:…``) wins
over a tag, as everywhere; ``?ref=`` may say either; without both it is ``latest``. ``?timeout=``: as in Git URLs.
"""

import posixpath
from dataclasses import dataclass

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.repository_url import holds_password, parse_query
from penstock.core.sources.oci import SCHEME, ImageName, image_name, is_digest

_LATEST = "latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactUrl:
    """One URL, taken apart. ``tag``: "" where ``digest`` (``sha256:<hex>``) is given.

    ``root``: of the kustomization in the artifact, "" for the artifact's own; ``timeout``: seconds.
    """

    raw: str
    image: ImageName
    tag: str
    digest: str
    root: str
    timeout: float

    @property
    def place(self) -> str:
        """The artifact's repository, for people."""
        return f"{SCHEME}{self.image}"


def parse_artifact_url(text: str) -> ArtifactUrl:
    """The parts of a URL. Raises BuildFailed saying what is wrong."""
    if holds_password(text):
        raise BuildFailed("the URL holds a password: remote bases are read without a login")
    place, _, query = text[len(SCHEME) :].partition("?")
    ref, timeout, _ = parse_query(query)
    named, _, directory = place.partition("//")
    named, _, digest = named.partition("@")
    before, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:  # a port's colon
        before, tag = named, ""
    if ref:
        tag, digest = ("", ref) if is_digest(ref) else (ref, "")
    if digest and not is_digest(digest):
        raise BuildFailed(f"'{digest}' is no digest: sha256: and 64 hexadecimal digits are")
    root = posixpath.normpath("/" + directory).lstrip("/")
    if posixpath.normpath(directory or ".").split("/")[0] == "..":
        raise BuildFailed(f"the directory '{directory}' leads out of the artifact")
    try:
        image = image_name(SCHEME + before)
    except ValueError as error:
        raise BuildFailed(f"write oci://registry/repository:tag//directory: {error}") from error
    return ArtifactUrl(
        raw=text, image=image, tag="" if digest else tag or _LATEST, digest=digest, root=root, timeout=timeout
    )
