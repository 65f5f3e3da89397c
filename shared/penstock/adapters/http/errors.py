"""What went wrong on the way, in words for people. urllib3's own texts repeat the URL, with its query."""

import ssl
from collections.abc import Iterator

from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError

TIMED_OUT = "timed out"


def unreachable(error: HTTPError) -> str:
    """Why no answer came."""
    causes = [error, *_causes(error)]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "the server's certificate is not trusted"
    if _timed_out(causes):
        return TIMED_OUT
    inner = causes[-1]
    return f"unreachable: {getattr(inner, 'strerror', None) or type(inner).__name__}"


def broken(error: HTTPError) -> str:
    """Why an answer did not come to its end."""
    return TIMED_OUT if _timed_out([error, *_causes(error)]) else f"the connection broke: {type(error).__name__}"


def _timed_out(causes: list[BaseException]) -> bool:
    return any(
        isinstance(cause, TimeoutError) or type(cause) in (ConnectTimeoutError, ReadTimeoutError) for cause in causes
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error came from, step by step: urllib3 keeps it as ``reason``, as cause, or as an argument."""
    for _ in range(10):
        candidates = (getattr(error, "reason", None), error.__cause__, *error.args)
        inner = next((each for each in candidates if isinstance(each, BaseException)), None)
        if inner is None:
            return
        yield inner
        error = inner
