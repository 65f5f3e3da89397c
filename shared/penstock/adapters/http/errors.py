"""Failures of HTTP as the project's errors: the only place that maps them.

unreachable, timed out, broken off, 408, 429, 5xx               Transient
not trusted, over a bound, away from TLS, a private address     Refused (and 401, 403)
404, 410                                                        NotFound
anything else                                                   Terminal

Messages name the host; never a path, a query or a header, which may be secrets. urllib3's own texts repeat the URL.
"""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.http import seconds_to_wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Telling:
    """How the failures of one exchange are told.

    ``about``: stands in front of all messages ("" for none, where the caller names what it was about); ``reason``,
    ``denied``: condition reasons, the second for 401 and 403 ("": the same); ``who``: answers; ``unauthorized``,
    ``forbidden``, ``missing``: what 401, 403 and 404 mean.
    """

    about: str = ""
    reason: str | None = None
    denied: str = ""
    who: str = "the server"
    unauthorized: str = "authentication required"
    forbidden: str = "access denied"
    missing: str = "not found"

    def of_status(self, status: int, headers: Mapping[str, str]) -> PenstockError | None:
        """The error of an answer; None for 2xx."""
        if 200 <= status < 300:
            return None
        if status in (401, 403):
            text = self.unauthorized if status == 401 else self.forbidden
            return Refused(self._text(text), reason=self.denied or self.reason)
        if status in (404, 410):
            return NotFound(self._text(self.missing), reason=self.reason)
        text = self._text(f"{self.who} answers {status}")
        if status in (408, 429) or status >= 500:
            return Transient(text, reason=self.reason, retry_after=seconds_to_wait(headers.get("Retry-After", "")))
        return Terminal(text, reason=self.reason)

    def of_failure(self, error: HTTPError) -> PenstockError:
        """The error of an exchange that did not come to its end."""
        causes = [error, *_causes(error)]
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return self.refused("the server's certificate is not trusted")
        if any(
            isinstance(cause, TimeoutError) or type(cause) in (ConnectTimeoutError, ReadTimeoutError)
            for cause in causes
        ):
            return self.timed_out()
        if any(type(cause) is http.client.HTTPException or type(cause) in _ENDLESS for cause in causes):
            return self.refused(f"{self.who}'s headers are over the limit")
        inner = causes[-1]
        if any(isinstance(cause, NewConnectionError) for cause in causes):
            return self._passing(f"unreachable: {getattr(inner, 'strerror', None) or type(inner).__name__}")
        return self._passing(f"the connection broke: {type(inner).__name__}")

    def timed_out(self) -> Transient:
        """The deadline has passed."""
        return self._passing("timed out")

    def refused(self, problem: str) -> Refused:
        """What we do not do; ``problem``: without a URL."""
        return Refused(self._text(problem), reason=self.reason)

    def terminal(self, problem: str) -> Terminal:
        """What will not change by itself; ``problem``: without a URL."""
        return Terminal(self._text(problem), reason=self.reason)

    def _passing(self, problem: str) -> Transient:
        return Transient(self._text(problem), reason=self.reason)

    def _text(self, problem: str) -> str:
        return f"{self.about}: {problem}" if self.about else problem


class HeadersTooLarge(http.client.HTTPException):
    """An answer's headers do not end."""


_ENDLESS = (HeadersTooLarge, http.client.LineTooLong)
"""http.client raises a plain HTTPException for too many headers."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error came from, step by step: urllib3 keeps it as ``reason``, as cause, or as an argument."""
    for _ in range(10):
        candidates = (getattr(error, "reason", None), error.__cause__, *error.args)
        inner = next((each for each in candidates if isinstance(each, BaseException)), None)
        if inner is None:
            return
        yield inner
        error = inner
