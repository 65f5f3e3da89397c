"""Files in a dict."""

from penstock.core.errors import NotFound, PenstockError, Refused
from penstock.ports.downloads import Download

_FAILED = "DownloadFailed"


class MemoryDownloads:
    """See ports.downloads.Downloads. ``calls``: the urls that were asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._files: dict[str, bytes | PenstockError] = {}

    def put(self, url: str, found: bytes | PenstockError) -> None:
        """Answer with these bytes, or raise this error, from now on."""
        self._files[url] = found

    def get(self, download: Download) -> bytes:
        """The bytes of the file."""
        self.calls.append(str(download.url))
        found = self._files.get(str(download.url))
        if found is None:
            raise NotFound("there is no such file", reason=_FAILED)
        if isinstance(found, PenstockError):
            raise found
        if len(found) > download.most:
            raise Refused(f"the file is larger than {download.most} bytes", reason=_FAILED)
        return found
