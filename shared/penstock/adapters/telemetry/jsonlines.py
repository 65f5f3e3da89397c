"""One JSON object a line, in the words of whoever collects the lines: nothing parses them but the platform."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from penstock.adapters.telemetry.redaction import redact
from penstock.adapters.telemetry.untraced import RecordsOnly
from penstock.ports.clock import Clock
from penstock.ports.telemetry import Field


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """How a platform calls what stands in every line.

    ``project``: of Cloud Logging, which then shows a line beside its trace (``logging.googleapis.com/trace``).
    """

    time: str = "time"
    severity: str = "severity"
    project: str = ""

    def of(self, fields: Mapping[str, Field]) -> dict[str, Field]:
        """What the platform wants besides."""
        if not self.project or not fields.get("trace"):
            return {}
        special: dict[str, Field] = {"trace": f"projects/{self.project}/traces/{fields['trace']}"}
        if fields.get("span"):
            special |= {"spanId": fields["span"], "trace_sampled": True}
        return {f"logging.googleapis.com/{name}": value for name, value in special.items()}


PLAIN = Words()
"""Cloud Logging's words, and good for any collector."""
LAMBDA = Words(time="timestamp", severity="level")
"""What Lambda's own JSON lines say: with its log format JSON it filters by them."""


class JsonLinesTelemetry(RecordsOnly):
    """Writes ``{"time": …, "severity": …, "message": name, **fields}``.

    ``severity`` is ERROR where ``outcome`` is ``failed``, ``retry`` or ``dead``, else INFO.
    """

    def __init__(self, stream: TextIO, clock: Clock, words: Words = PLAIN) -> None:
        self._stream, self._clock, self._words = stream, clock, words
        self._lock = threading.Lock()

    def record(self, name: str, /, **fields: Field) -> None:
        """Write one line. A stream that cannot take it is no reason to fail the work."""
        time = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        severity = "ERROR" if fields.get("outcome") in {"failed", "retry", "dead"} else "INFO"
        head = {self._words.time: time, self._words.severity: severity, "message": name}
        line = json.dumps({**head, **redact(fields), **self._words.of(fields), **head}, ensure_ascii=False)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # closed pipe, closed file
                return
