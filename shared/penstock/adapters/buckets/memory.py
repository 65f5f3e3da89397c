"""Buckets in memory."""

import hashlib

from penstock.core.errors import NotFound, Refused
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import FAILED, RemoteBucket


class MemoryBuckets:
    """``contents``: bucket -> key -> bytes; ``logins``: bucket -> the accesskey that it wants, none for public ones."""

    def __init__(self) -> None:
        self.contents: dict[str, dict[str, bytes]] = {}
        self.logins: dict[str, bytes] = {}
        self.reads = 0

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object."""
        self.contents.setdefault(bucket, {})[key] = data

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """See Buckets."""
        found = tuple(
            BucketObject(key=key, etag=_etag(data), size=len(data))
            for key, data in sorted(self._open(bucket).items())
            if key.startswith(prefix)
        )
        if len(found) > most:
            raise Refused(f"bucket '{bucket.name}' has more than {most} objects", reason=FAILED)
        return found

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """See Buckets."""
        data = self._open(bucket).get(key)
        if data is None:
            return None
        self.reads += 1
        if len(data) > most:
            raise Refused(f"object '{key}' is over the limit of {most} bytes", reason=FAILED)
        return data, _etag(data)

    def _open(self, bucket: RemoteBucket) -> dict[str, bytes]:
        wanted = self.logins.get(bucket.name)
        if wanted is not None and bucket.credentials.get("accesskey") != wanted:
            raise Refused(f"bucket '{bucket.name}': access denied", reason="AuthenticationFailed")
        if bucket.name not in self.contents:
            raise NotFound(f"bucket '{bucket.name}' not found", reason=FAILED)
        return self.contents[bucket.name]


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
