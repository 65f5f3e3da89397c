"""Requests to one object store: a deadline, a bound, and checked addresses.

Every failure becomes one of the project's errors, so that no library's error and no key leaves the adapter.
"""

from collections.abc import Callable, Mapping

from penstock.adapters.http.addresses import Guard
from penstock.adapters.http.client import HttpClient, Outgoing, host_of
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import Telling
from penstock.adapters.http.proxies import tenants_proxy
from penstock.adapters.http.trust import tls_context
from penstock.core.errors import NotFound, Refused
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import FAILED, RemoteBucket

MOST_LIST_BYTES = 8 * 1024 * 1024
"""Of a page of a list, and of what is told of one object."""

Sign = Callable[[str], Mapping[str, str]]
"""The headers that a GET of this URL needs."""


class BucketHttp:
    """GETs to one bucket, within one deadline, over kept connections. Close it. No redirects are followed."""

    def __init__(self, bucket: RemoteBucket, sign: Sign) -> None:
        self._name, self._sign, self._deadline = bucket.name, sign, Deadline(bucket.timeout)
        guard = Guard(allowed_hosts=bucket.allowed_hosts)
        proxy_for = tenants_proxy(bucket.proxy, guard)
        self._client = HttpClient(guard=guard, trust=tls_context(bucket.certificates), proxy_for=proxy_for)
        self._telling = Telling(
            about=f"bucket '{bucket.name}' at {host_of(bucket.endpoint)}",
            reason=FAILED,
            denied="AuthenticationFailed",
            who="the service",
            unauthorized="access denied",
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def get(self, url: str, *, most: int) -> tuple[int, bytes, Mapping[str, str]]:
        """Status (200, or 404 without a body), body, headers.

        Raises Refused (401, 403; beyond ``most`` bytes), Transient, Terminal.
        """
        headers = {"accept-encoding": "identity", **self._sign(url)}
        answer = self._client.open(Outgoing(url=url, headers=headers), self._deadline, self._telling)
        if answer.status == 404:
            answer.close()
            return answer.status, b"", answer.headers
        answer.check()
        return answer.status, answer.all(most), answer.headers

    def listed(self, url: str) -> bytes:
        """A page of the bucket's list. Raises NotFound where there is no such bucket, and as ``get``."""
        status, body, _ = self.get(url, most=MOST_LIST_BYTES)
        if status != 200:
            raise NotFound(f"bucket '{self._name}' not found", reason=FAILED)
        return body


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
