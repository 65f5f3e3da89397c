"""Artifacts as objects ``artifacts/sha256/<hex>`` of one S3 bucket.

S3 shows an object when all of it has arrived and its SHA-256 is the one that was announced, and never before. A write
is conditional (``If-None-Match: *``): what is there already stays.
"""

import base64
import hashlib

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.storage.digests import check, hex_part, named

FOLDER = "artifacts/sha256/"


class S3Storage:
    """See ports.storage.Storage. Needs ``s3:ListBucket`` too: without it S3 answers 403 for what is not there."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._clients, self._bucket = clients, bucket

    def put(self, digest: str, data: bytes, *, cluster: str = "") -> bool:  # noqa: ARG002 - of one region
        """Store under its digest."""
        check(digest, data)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        parameters = {**self._object(digest), "Body": data, "IfNoneMatch": "*", "ChecksumSHA256": checksum}
        try:
            self._clients.call("s3", "put_object", self._bucket, parameters, expect={"PreconditionFailed"})
        except Answered:
            return False
        return True

    def get(self, digest: str) -> bytes | None:
        """The bytes, verified; Terminal where they are not those of the digest."""
        data = self._clients.download("s3", "get_object", self._bucket, self._object(digest))
        if data is None:
            return None
        check(digest, data)
        return data

    def has(self, digest: str) -> bool:
        """Whether there is an object of it."""
        try:
            self._clients.call("s3", "head_object", self._bucket, self._object(digest), expect={"404", "NoSuchKey"})
        except Answered:
            return False
        return True

    def delete(self, digest: str) -> None:
        """Forget it."""
        self._clients.call("s3", "delete_object", self._bucket, self._object(digest))

    def digests(self) -> tuple[str, ...]:
        """All, sorted."""
        found: list[str] = []
        parameters = {"Bucket": self._bucket, "Prefix": FOLDER}
        while True:
            page = self._clients.call("s3", "list_objects_v2", self._bucket, parameters)
            found += [entry["Key"].removeprefix(FOLDER) for entry in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return named(found)
            parameters["ContinuationToken"] = page["NextContinuationToken"]

    def _object(self, digest: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": FOLDER + hex_part(digest)}
