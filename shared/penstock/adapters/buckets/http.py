"""Requests to one object store: a deadline, a bound, and checked addresses.

Every failure becomes one of the project's errors, so that no library's error and no key leaves the adapter.
"""

import time
from collections.abc import Callable, Mapping

import urllib3
from urllib3.exceptions import HTTPError

from penstock.adapters.git.http import tls_context
from penstock.adapters.http.connection import pool_classes
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import unreachable
from penstock.core.errors import PenstockError, Refused, Terminal, Transient
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import FAILED, RemoteBucket
from penstock.version import __version__

Sign = Callable[[str], Mapping[str, str]]
"""The headers that a GET of this URL needs."""


class BucketHttp:
    """GETs to one bucket, within one deadline, over kept connections. Close it. No redirects are followed."""

    def __init__(self, bucket: RemoteBucket, sign: Sign) -> None:
        self._bucket, self._sign, self._until = bucket, sign, time.monotonic() + bucket.timeout
        self._manager = urllib3.PoolManager(num_pools=2, retries=False, ssl_context=tls_context(bucket.certificates))
        self._manager.pool_classes_by_scheme = pool_classes(GuardedUrl(bucket.endpoint, bucket.allowed_hosts))

    def close(self) -> None:
        """Close all connections."""
        self._manager.clear()

    def get(self, url: str, *, most: int) -> tuple[int, bytes, Mapping[str, str]]:
        """Status (200, or 404 without a body), body, headers.

        Raises Refused (401, 403; beyond ``most`` bytes), Transient, Terminal.
        """
        deadline = Deadline(self._until - time.monotonic())
        if deadline.left <= 0:
            raise Transient(f"bucket '{self._bucket.name}': timed out", reason=FAILED)
        headers = {"User-Agent": f"penstock/{__version__}", "Accept-Encoding": "identity", **self._sign(url)}
        try:
            answer = self._manager.request(
                "GET", url, headers=headers, timeout=deadline, preload_content=False, redirect=False
            )
            try:
                return answer.status, self._body(answer, most), answer.headers
            finally:
                answer.release_conn()
        except HTTPError as error:
            raise Transient(f"bucket '{self._bucket.name}': {unreachable(error)}", reason=FAILED) from error

    def _body(self, answer: urllib3.BaseHTTPResponse, most: int) -> bytes:
        wrong = _error(answer.status, answer.headers.get("Retry-After"), self._bucket.name)
        if wrong is not None:
            answer.close()
            raise wrong
        if answer.status == 404:
            answer.close()
            return b""
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(65536):
            size += len(part)
            if size > most:
                answer.close()
                raise Refused(
                    f"bucket '{self._bucket.name}': an object is over the limit of {most} bytes", reason=FAILED
                )
            if time.monotonic() > self._until:
                answer.close()
                raise Transient(f"bucket '{self._bucket.name}': timed out", reason=FAILED)
            parts.append(part)
        return b"".join(parts)


def every_page(
    bucket: RemoteBucket, most: int, read: Callable[[str], tuple[list[BucketObject], str]]
) -> tuple[BucketObject, ...]:
    """All objects. ``read``: a page's token ("" for the first) -> its objects, the next one's. Raises Refused."""
    found: list[BucketObject] = []
    token = ""
    while True:
        page, token = read(token)
        found += page
        if len(found) > most:
            raise Refused(f"bucket '{bucket.name}' has more than {most} objects", reason=FAILED)
        if not token:
            return tuple(found)


def _error(status: int, retry_after: str | None, name: str) -> PenstockError | None:
    if status in (200, 404):
        return None
    if status in (401, 403):
        return Refused(f"bucket '{name}': access denied", reason="AuthenticationFailed")
    if status in (408, 429) or status >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Transient(f"bucket '{name}': the service answers {status}", reason=FAILED, retry_after=seconds)
    return Terminal(f"bucket '{name}': the service answers {status}", reason=FAILED)
