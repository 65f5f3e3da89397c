"""The registry port over the OCI distribution API (spec 1.1): tags, manifests and blobs, each checked by its digest."""

import hashlib
import json
from contextlib import closing

from penstock.adapters.identity.logins import SourceLogins
from penstock.adapters.registry.attached import collect
from penstock.adapters.registry.http import RegistryHttp
from penstock.adapters.registry.tarball import untar
from penstock.core.errors import NotFound, Refused, Terminal
from penstock.core.signatures.attached import Attached, referrers_tag
from penstock.core.sources.oci import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    MOST_MANIFEST_BYTES,
    is_digest,
    parse_index,
    parse_manifest,
    select_layer,
)
from penstock.ports.registry import FAILED_LAYER, FAILED_PULL, PulledImage, PullLimits, RemoteImage

_ACCEPT = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
_MOST_PAGES, _MOST_TAGS = 1000, 100_000


class DistributionRegistry:
    """Registry over HTTP. A connection lasts for one call. ``logins``: for images with a cloud identity."""

    def __init__(self, logins: SourceLogins | None = None) -> None:
        self._logins = logins

    def tags(self, image: RemoteImage) -> tuple[str, ...]:
        """See Registry. Follows the registry's pages."""
        found: list[str] = []
        path = "tags/list?n=1000"
        with closing(self._open(image)) as http:
            for _ in range(_MOST_PAGES):
                body, headers = http.get(path, most=MOST_MANIFEST_BYTES)
                found += _tags(body, image)
                path = http.next_page(headers)
                if not path or len(found) > _MOST_TAGS:
                    break
        if len(found) > _MOST_TAGS:
            raise Terminal(f"{image.name}: more than {_MOST_TAGS} tags: name one in ref.tag", reason=FAILED_PULL)
        return tuple(found)

    def digest(self, image: RemoteImage, tag: str) -> str:
        """See Registry."""
        with closing(self._open(image)) as http:
            path = f"manifests/{tag}"
            _, headers = http.get(path, accept=_ACCEPT, most=0, method="HEAD")
            told = headers.get("Docker-Content-Digest", "")
            if is_digest(told):
                return told
            body, _ = http.get(path, accept=_ACCEPT, most=MOST_MANIFEST_BYTES)
            return "sha256:" + hashlib.sha256(body).hexdigest()

    def pull(self, image: RemoteImage, digest: str, *, media_type: str, limits: PullLimits) -> PulledImage:
        """See Registry."""
        with closing(self._open(image)) as http:
            body = _manifest(http, image, digest)
            chosen = parse_index(body)
            if chosen is not None:
                body = _manifest(http, image, chosen.digest)
            manifest = parse_manifest(body)
            layer = select_layer(manifest, media_type)
            if layer.size > limits.packed_bytes:
                raise Terminal(f"{image.name}: the layer has {layer.size} bytes, over the limit", reason=FAILED_LAYER)
            packed, _ = http.get(f"blobs/{layer.digest}", most=limits.packed_bytes)
        return PulledImage(tree=untar(checked(packed, layer.digest, image), limits), annotations=manifest.annotations)

    def signatures(self, image: RemoteImage, digest: str, kind: str) -> tuple[Attached, ...]:
        """See Registry. The referrers API is asked first, then the tag that stands in for it."""
        with closing(self._open(image)) as http:
            return collect(_Repository(http, image), digest, kind)

    def _open(self, image: RemoteImage) -> RegistryHttp:
        if image.identity is None or image.login:
            return RegistryHttp(image)
        if self._logins is None:
            raise Refused(f"{image.name}: no cloud identities are set up here", reason="AuthenticationFailed")
        return RegistryHttp(image, self._logins.registry(image, image.identity))


class _Repository:
    """A Reader of one repository, over the connections of one call."""

    def __init__(self, http: RegistryHttp, image: RemoteImage) -> None:
        self._http, self._image = http, image

    def manifest(self, reference: str) -> bytes:
        if is_digest(reference):
            return _manifest(self._http, self._image, reference)
        return self._http.get(f"manifests/{reference}", accept=_ACCEPT, most=MOST_MANIFEST_BYTES)[0]

    def blob(self, digest: str, most: int) -> bytes:
        return checked(self._http.get(f"blobs/{digest}", most=most)[0], digest, self._image)

    def referrers(self, digest: str) -> bytes:
        try:
            return self._http.get(f"referrers/{digest}", accept=INDEX_TYPES[0], most=MOST_MANIFEST_BYTES)[0]
        except NotFound:
            return self.manifest(referrers_tag(digest))


def checked(data: bytes, digest: str, image: RemoteImage) -> bytes:
    """The data, if they have that digest. Raises Terminal."""
    if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
        raise Terminal(f"{image.name}: what the registry sent is not {digest}", reason=FAILED_PULL)
    return data


def _manifest(http: RegistryHttp, image: RemoteImage, digest: str) -> bytes:
    body, _ = http.get(f"manifests/{digest}", accept=_ACCEPT, most=MOST_MANIFEST_BYTES)
    return checked(body, digest, image)


def _tags(body: bytes, image: RemoteImage) -> list[str]:
    try:
        tags = json.loads(body)["tags"] or []
        return [str(tag) for tag in tags]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Terminal(f"{image.name}: the registry's list of tags is none", reason=FAILED_PULL) from error
