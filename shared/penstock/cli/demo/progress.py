"""The live account: what every stage did, in milliseconds, and what became of every object."""

import threading
from typing import TextIO

from penstock.adapters.telemetry.untraced import RecordsOnly
from penstock.ports.telemetry import Field

_SHOWN = ("object created", "object configured", "object deleted")


class Progress(RecordsOnly):
    """A Telemetry that prints as things happen, and remembers them for the steps' assertions."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream, self._quiet = stream, quiet
        self._lock = threading.Lock()
        self.records: list[tuple[str, dict[str, Field]]] = []

    def record(self, name: str = "", /, **fields: Field) -> None:
        """See Telemetry."""
        with self._lock:
            self.records.append((name, dict(fields)))
            line = _line(name, fields)
            if line and not self._quiet:
                print(line, file=self._stream, flush=True)

    def mark(self) -> int:
        """Where the account stands now."""
        return len(self.records)

    def since(self, mark: int, name: str) -> list[dict[str, Field]]:
        """The fields of every record of that name since a mark."""
        with self._lock:
            return [fields for found, fields in self.records[mark:] if found == name]

    def step(self, number: int, total: int, title: str) -> None:
        """A heading."""
        self.say(f"\n[{number}/{total}] {title}")

    def result(self, result: dict[str, object]) -> None:
        """What a step found."""
        if result["ok"]:
            facts = ", ".join(f"{k} {v}" for k, v in result.items() if k not in ("step", "ok", "seconds"))
            self.say(f"  ok in {result['seconds']} s{': ' + facts if facts else ''}")
        else:
            self.say(f"  FAILED: {result['error']}")

    def say(self, text: str) -> None:
        """A line of the story."""
        if not self._quiet:
            with self._lock:
                print(text, file=self._stream, flush=True)


def _line(name: str, fields: dict[str, Field]) -> str:
    if name in _SHOWN:
        changed = f"  ({fields['fields']})" if fields.get("fields") else ""
        return f"    {fields.get('object', '')!s:<58} {name.removeprefix('object ')}{changed}"
    if name != "stage finished" or fields.get("stage") in ("tick", None):
        return ""
    about = "/".join(str(fields[key]) for key in ("namespace", "name") if fields.get(key))
    took = f"{fields['milliseconds']:.0f} ms"
    trouble = f"  {fields['error']}" if fields.get("error") else ""
    status = f"  {fields['status']}" if fields.get("status") else ""
    return f"  {fields['stage']!s:<10} {took:>8}  {about}{status}{trouble}"
