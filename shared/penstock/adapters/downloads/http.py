"""Files over HTTP(S): a deadline, a bound, checked addresses. urllib3 is shared with Git's transport."""

from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from penstock.adapters.git.http import tls_context
from penstock.adapters.http.connection import pool_classes
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import broken, unreachable
from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.ports.downloads import Download
from penstock.version import __version__

_FAILED = "DownloadFailed"
_MOST_REDIRECTS = 3
_CHUNK = 65536
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"User-Agent": f"penstock/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


class HttpDownloads:
    """See ports.downloads.Downloads."""

    def get(self, download: Download) -> bytes:
        """The bytes of the file."""
        deadline = Deadline(download.timeout)
        manager = urllib3.PoolManager(num_pools=2, retries=False, ssl_context=tls_context({}))
        manager.pool_classes_by_scheme = pool_classes(download.url)
        try:
            return _read(_opened(manager, str(download.url), deadline), deadline, download.most)
        finally:
            manager.clear()


def _opened(manager: urllib3.PoolManager, url: str, deadline: Deadline) -> urllib3.BaseHTTPResponse:
    """The answer at the end of the redirects. Raises what its status says."""
    for _ in range(_MOST_REDIRECTS + 1):
        _check_url(url)
        if deadline.left <= 0:
            raise Transient("timed out", reason=_FAILED)
        try:
            answer = manager.request(
                "GET", url, headers=_HEADERS, timeout=deadline, redirect=False, preload_content=False
            )
        except HTTPError as error:
            raise Transient(unreachable(error), reason=_FAILED) from error
        if answer.status not in _REDIRECTS:
            problem = _problem(answer)
            if problem is not None:
                answer.close()
                raise problem
            return answer
        answer.close()
        target = urljoin(url, answer.headers.get("Location", ""))
        if url.startswith("https:") and not target.startswith("https:"):
            raise Refused("the server redirects away from TLS", reason=_FAILED)
        url = target
    raise Terminal(f"more than {_MOST_REDIRECTS} redirects", reason=_FAILED)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise Terminal("it is no usable http or https URL", reason=_FAILED)


def _read(answer: urllib3.BaseHTTPResponse, deadline: Deadline, most: int) -> bytes:
    parts, left = [], most
    try:
        while part := answer.read1(_CHUNK, decode_content=False):
            left -= len(part)
            if left < 0:
                raise Refused(f"the file is larger than {most} bytes", reason=_FAILED)
            if deadline.left <= 0:
                raise Transient("timed out", reason=_FAILED)
            parts.append(part)
    except HTTPError as error:
        raise Transient(broken(error), reason=_FAILED) from error
    finally:
        answer.close()
    return b"".join(parts)


def _problem(answer: urllib3.BaseHTTPResponse) -> PenstockError | None:
    status = answer.status
    if 200 <= status < 300:
        return None
    if status in (401, 403):
        return Refused(f"the server answers {status}: files are read without a login", reason=_FAILED)
    if status in (404, 410):
        return NotFound("there is no such file", reason=_FAILED)
    if status in (408, 429) or status >= 500:
        after = answer.headers.get("Retry-After", "")
        return Transient(
            f"the server answers {status}", reason=_FAILED, retry_after=float(after) if after.isdigit() else None
        )
    return Terminal(f"the server answers {status}", reason=_FAILED)
