"""Artifacts as objects ``artifacts/sha256/<hex>`` of one Cloud Storage bucket (JSON API v1).

Cloud Storage shows an object when all of it has arrived and its MD5 is the one that was announced, and never before.
A write is conditional (``ifGenerationMatch=0``): what is there already stays.
"""

import base64
import hashlib
import json
from urllib.parse import quote, urlencode

from penstock.adapters.google.client import Act, Answered, GoogleClient
from penstock.adapters.google.names import GoogleNames
from penstock.adapters.storage.digests import check, hex_part, named

FOLDER = "artifacts/sha256/"
_TYPE = "application/octet-stream"


class GcsStorage:
    """See ports.storage.Storage."""

    def __init__(self, client: GoogleClient, names: GoogleNames) -> None:
        self._client, self._bucket, self._base = client, names.bucket, names.endpoints.storage

    def put(self, digest: str, data: bytes, *, cluster: str = "") -> bool:  # noqa: ARG002 - of one region
        """Store under its digest."""
        check(digest, data)
        query = urlencode({"uploadType": "multipart", "ifGenerationMatch": "0"})
        url = f"{self._base}/upload/storage/v1/b/{quote(self._bucket, safe='')}/o?{query}"
        boundary = hex_part(digest)
        body = _multipart(FOLDER + hex_part(digest), data, boundary)
        headers = {"content-type": f"multipart/related; boundary={boundary}"}
        try:
            self._client.send("POST", url, self._act("storage.objects.create", "412"), body, headers)
        except Answered:
            return False
        return True

    def get(self, digest: str) -> bytes | None:
        """The bytes, verified; Terminal where they are not those of the digest."""
        try:
            answer = self._client.send("GET", f"{self._object(digest)}?alt=media", self._act("storage.objects.get"))
        except Answered:
            return None
        check(digest, answer.body)
        return answer.body

    def has(self, digest: str) -> bool:
        """Whether there is an object of it."""
        try:
            self._client.send("GET", f"{self._object(digest)}?fields=name", self._act("storage.objects.get"))
        except Answered:
            return False
        return True

    def delete(self, digest: str) -> None:
        """Forget it."""
        try:
            self._client.send("DELETE", self._object(digest), self._act("storage.objects.delete"))
        except Answered:
            return  # not there

    def digests(self) -> tuple[str, ...]:
        """All, sorted."""
        query = {"prefix": FOLDER, "fields": "nextPageToken,items(name)"}
        pages = self._client.pages(self._objects, self._act("storage.objects.list", ""), query)
        items = [item for page in pages for item in page.get("items", ())]
        return named(item["name"].removeprefix(FOLDER) for item in items)

    @property
    def _objects(self) -> str:
        return f"{self._base}/storage/v1/b/{quote(self._bucket, safe='')}/o"

    def _object(self, digest: str) -> str:
        return f"{self._objects}/{quote(FOLDER + hex_part(digest), safe='')}"

    def _act(self, permission: str, expect: str = "404") -> Act:
        return Act(permission=permission, resource=f"bucket {self._bucket}", expect=(expect,) if expect else ())


def _multipart(name: str, data: bytes, boundary: str) -> bytes:
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    metadata = json.dumps({"name": name, "contentType": _TYPE, "md5Hash": md5})
    head = (
        f"--{boundary}\r\ncontent-type: application/json\r\n\r\n{metadata}\r\n"
        f"--{boundary}\r\ncontent-type: {_TYPE}\r\n\r\n"
    )
    return b"".join((head.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
