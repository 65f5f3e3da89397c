"""What libraries log, as records of the plane: that they warned and where, never what they were working on.

At their finest they tell requests, headers and answers: with Lambda's log level at DEBUG botocore's lines would hold
every secret that a stage reads. So nothing below a warning is taken, whatever level the platform has set.
"""

import logging
import math
import time

from penstock.ports.telemetry import Telemetry

EVERY_SECONDS = 60.0
"""One record of the same place in so long."""
MOST_PLACES = 256


class LibraryLog(logging.Handler):
    """Hands warnings and errors to a plane's log."""

    def __init__(self, log: Telemetry) -> None:
        super().__init__(level=logging.WARNING)
        self.log = log
        self._next: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """See the module."""
        where = f"{record.name}:{record.lineno}"
        now = time.monotonic()
        if now < self._next.get(where, math.inf if len(self._next) >= MOST_PLACES else 0.0):
            return
        self._next[where] = now + EVERY_SECONDS
        failed = {"outcome": "failed"} if record.levelno >= logging.ERROR else {}
        self.log.record("library warning", where=where, **failed, **_told(record))


def listen(log: Telemetry) -> None:
    """From here on this process' libraries are heard by ``log`` alone; called again, by the new one."""
    root = logging.getLogger()
    for handler in tuple(root.handlers):
        root.removeHandler(handler)
    root.addHandler(LibraryLog(log))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def text_of(record: logging.LogRecord) -> str:
    """The message with its numbers only: an answer's own words, or an URL, could hold anything."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    told = tuple(each if isinstance(each, int | float) else "…" for each in arguments)
    try:
        return str(record.msg) % told if told else str(record.msg)
    except (TypeError, ValueError):
        return record.name


def _told(record: logging.LogRecord) -> dict[str, str]:
    """A message without arguments was perhaps put together before: then the place must do."""
    return {"error": text_of(record)} if isinstance(record.args, tuple) and record.args else {}
