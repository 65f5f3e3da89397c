"""One JSON object a line: what log collectors of both clouds parse by themselves."""

import json
import threading
from typing import TextIO

from penstock.adapters.telemetry.redaction import Field, redact
from penstock.ports.clock import Clock


class JsonLinesTelemetry:
    """Writes ``{"time": …, "severity": …, "message": name, **fields}``.

    ``severity`` is ERROR where ``outcome`` is ``failed``, ``retry`` or ``dead``, else INFO (Cloud Logging's words).
    """

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self._lock = threading.Lock()

    def record(self, name: str, /, **fields: Field) -> None:
        """Write one line. A stream that cannot take it is no reason to fail the work."""
        time = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        severity = "ERROR" if fields.get("outcome") in {"failed", "retry", "dead"} else "INFO"
        line = json.dumps({"time": time, "severity": severity, "message": name, **redact(fields)}, ensure_ascii=False)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # closed pipe, closed file
                return
