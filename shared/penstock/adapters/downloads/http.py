"""Files over HTTP(S), from addresses that are checked."""

from penstock.adapters.http.addresses import guard_of
from penstock.adapters.http.client import HttpClient, Outgoing, host_of
from penstock.adapters.http.deadline import Deadline
from penstock.adapters.http.errors import Telling
from penstock.ports.downloads import Download

_FAILED = "DownloadFailed"
_MOST_REDIRECTS = 3
_WITHOUT_LOGIN = "access denied: files are read without a login"


class HttpDownloads:
    """See ports.downloads.Downloads."""

    def get(self, download: Download) -> bytes:
        """The bytes of the file, as they are sent."""
        deadline, client = Deadline(download.timeout), HttpClient(guard=guard_of(download.url))
        telling = Telling(
            about=host_of(download.url), reason=_FAILED, unauthorized=_WITHOUT_LOGIN, forbidden=_WITHOUT_LOGIN
        )
        request = Outgoing(
            url=str(download.url),
            headers={"accept": "*/*", "accept-encoding": "identity"},
            redirects=_MOST_REDIRECTS,
        )
        try:
            answer = client.open(request, deadline, telling)
            answer.check()
            try:
                return answer.all(download.most)
            finally:
                answer.close()
        finally:
            client.close()
