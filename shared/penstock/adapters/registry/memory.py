"""A registry in memory: what tests and rehearsals push, stored and checked as a real one does."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

from penstock.adapters.registry.attached import collect
from penstock.adapters.registry.distribution import checked
from penstock.adapters.registry.tarball import untar
from penstock.core.errors import NotFound, Refused
from penstock.core.signatures.attached import Attached
from penstock.core.sources.oci import ImageName, parse_index, parse_manifest, select_layer
from penstock.core.sources.registry_auth import login_for
from penstock.ports.registry import FAILED_PULL, PulledImage, PullLimits, RemoteImage

FLUX_LAYER = "application/vnd.cncf.flux.content.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class MemoryRegistry:
    """Repositories by ``registry/repository``. ``logins``: what each wants as Basic login, none for public ones."""

    def __init__(self) -> None:
        self.logins: dict[str, str] = {}
        self.requests = 0
        self._blobs: dict[str, bytes] = {}
        self._tags: dict[str, dict[str, str]] = {}

    def push(
        self, name: str, tag: str, files: Mapping[str, bytes], *, annotations: Mapping[str, str] | None = None
    ) -> str:
        """Push files as one layer, as ``flux push artifact`` does; the manifest's digest."""
        return self.push_manifest(name, tag, manifest_of(self.put(archive(files)), annotations or {}))

    def push_manifest(self, name: str, tag: str, manifest: Mapping[str, object]) -> str:
        """Push a manifest or index as it is."""
        digest = self.put(json.dumps(manifest).encode())[0]
        self._tags.setdefault(name, {})[tag] = digest
        return digest

    def put(self, data: bytes) -> tuple[str, int]:
        """Store a blob: its digest and size."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._blobs[digest] = data
        return digest, len(data)

    def tags(self, image: RemoteImage) -> tuple[str, ...]:
        """See Registry."""
        return tuple(self._open(image))

    def digest(self, image: RemoteImage, tag: str) -> str:
        """See Registry."""
        found = self._open(image).get(tag)
        if found is None:
            raise NotFound(f"{image.name}: not found", reason=FAILED_PULL)
        return found

    def pull(self, image: RemoteImage, digest: str, *, media_type: str, limits: PullLimits) -> PulledImage:
        """See Registry."""
        self._open(image)
        body = self._blob(image, digest)
        chosen = parse_index(body)
        manifest = parse_manifest(self._blob(image, chosen.digest) if chosen else body)
        layer = select_layer(manifest, media_type)
        return PulledImage(tree=untar(self._blob(image, layer.digest), limits), annotations=manifest.annotations)

    def signatures(self, image: RemoteImage, digest: str, kind: str) -> tuple[Attached, ...]:
        """See Registry."""
        return collect(_Repository(self, image), digest, kind)

    def referrers(self, image: RemoteImage, digest: str) -> bytes:
        """The index of tagged manifests whose subject the digest is."""
        found = []
        for each in dict.fromkeys(self._open(image).values()):
            body = self._blob(image, each)
            manifest = json.loads(body)
            if (manifest.get("subject") or {}).get("digest") == digest:
                kind = manifest.get("artifactType") or manifest["config"]["mediaType"]
                found.append({"mediaType": _MANIFEST, "digest": each, "size": len(body), "artifactType": kind})
        return json.dumps({"manifests": found}).encode()

    def read(self, image: RemoteImage, reference: str) -> bytes:
        """What is under a tag or digest."""
        return self._blob(image, reference if ":" in reference else self.digest(image, reference))

    def _open(self, image: RemoteImage) -> dict[str, str]:
        self.requests += 1
        name = str(image.name)
        wanted = self.logins.get(name, "")
        if wanted and login_for(image.login, image.name.registry).basic != wanted:
            raise Refused(f"{name}: authentication required", reason="AuthenticationFailed")
        if name not in self._tags:
            raise NotFound(f"{name}: not found", reason=FAILED_PULL)
        return self._tags[name]

    def _blob(self, image: RemoteImage, digest: str) -> bytes:
        found = self._blobs.get(digest)
        if found is None:
            raise NotFound(f"{image.name}: not found", reason=FAILED_PULL)
        return checked(found, digest, image)


class _Repository:
    """See adapters.registry.attached.Reader."""

    def __init__(self, registry: MemoryRegistry, image: RemoteImage) -> None:
        self._registry, self._image = registry, image

    def manifest(self, reference: str) -> bytes:
        return self._registry.read(self._image, reference)

    def blob(self, digest: str, most: int) -> bytes:
        return self._registry.read(self._image, digest)[: most + 1]

    def referrers(self, digest: str) -> bytes:
        return self._registry.referrers(self._image, digest)


def archive(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tarball of regular files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            made.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def manifest_of(
    layer: tuple[str, int], annotations: Mapping[str, str], media_type: str = FLUX_LAYER
) -> dict[str, object]:
    """An image manifest of one layer (digest, size)."""
    empty = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": "application/vnd.cncf.flux.config.v1+json", "digest": empty, "size": 2},
        "layers": [{"mediaType": media_type, "digest": layer[0], "size": layer[1]}],
        "annotations": dict(annotations),
    }


def image(url: str, **options: object) -> RemoteImage:
    """A RemoteImage of ``registry/repository``."""
    registry, _, repository = url.partition("/")
    return RemoteImage(name=ImageName(registry=registry, repository=repository), **options)  # type: ignore[arg-type]
