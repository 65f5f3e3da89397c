"""One line a run for people who watch a terminal: when, which stage, what, how it went, how long it took."""

import threading
from typing import TextIO

from penstock.adapters.telemetry.redaction import redact
from penstock.adapters.telemetry.untraced import RecordsOnly
from penstock.ports.clock import Clock
from penstock.ports.telemetry import Field


class TextTelemetry(RecordsOnly):
    """Writes what stages finished, and everything that failed; the rest is for machines."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream, self._clock = stream, clock
        self._lock = threading.Lock()

    def record(self, name: str, /, **fields: Field) -> None:
        """Write one line, or nothing."""
        outcome = fields.get("outcome")
        if name != "stage finished" and outcome not in {"failed", "dead"}:
            return
        known = redact(fields)
        with self._lock:
            try:
                self._stream.write(f"{self._clock.now():%H:%M:%S} {_line(name, known)}\n")
                self._stream.flush()
            except (OSError, ValueError):  # closed pipe, closed file
                return


def _line(name: str, fields: dict[str, Field]) -> str:
    about = "/".join(str(fields[key]) for key in ("cluster", "kind", "namespace", "name") if fields.get(key))
    took = fields.get("milliseconds")
    parts = (
        f"{fields.get('stage', ''):<9}",
        about or str(fields.get("method", "")),
        str(fields.get("status", "") or fields.get("outcome", "")),
        "" if took is None else f"{took:.0f} ms",
        "" if name == "stage finished" else name,
        str(fields.get("error", "")),
    )
    return " ".join(" ".join(part.split("\n")) for part in parts if part)
