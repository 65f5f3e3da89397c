"""Queues in one SQLite file: durable, at least once, shared by threads and processes (docs/decisions/0003).

One row per message and subscribing stage. ``due`` is when the row may be taken: in the future it is a delay, a
backoff or the visibility timeout of whoever took it, so a killed worker's message comes back by itself. ``attempts``
counts the times it was taken; with the row's id it is the receipt, so a late worker's acknowledgement finds nothing.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from penstock.adapters.bus.bell import Bell
from penstock.adapters.bus.coalescing import merge_key, merged
from penstock.adapters.bus.ordering import order_again, order_key
from penstock.adapters.bus.visibility import VISIBILITY
from penstock.adapters.state.database import Database, Row
from penstock.core.errors import Terminal
from penstock.core.messages import decode, encode
from penstock.core.pipeline import Pipeline, Stage
from penstock.ports.bus import DeadLetter, Delivery, Dispatch
from penstock.ports.clock import Clock

FORMAT = 1
POLL_SECONDS = 0.2
"""How soon a message of another process is seen; those of this process ring a bell."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY AUTOINCREMENT, stage TEXT NOT NULL, merge_key TEXT NOT NULL, order_key TEXT NOT NULL,
  body BLOB NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS message_due ON message (stage, due, id);
CREATE INDEX IF NOT EXISTS message_order ON message (stage, order_key, id) WHERE order_key <> '';
CREATE UNIQUE INDEX IF NOT EXISTS message_merge ON message (stage, merge_key) WHERE attempts = 0 AND merge_key <> '';
CREATE TABLE IF NOT EXISTS dead_letter (
  id INTEGER PRIMARY KEY, stage TEXT NOT NULL, body BLOB NOT NULL, error TEXT NOT NULL)
"""
_ADD = "INSERT INTO message (stage, merge_key, order_key, body, due) VALUES (?, ?, ?, ?, ?)"
_EQUAL = "SELECT id, body, due FROM message WHERE stage = ? AND merge_key = ? AND attempts = 0 AND merge_key <> ''"
_NEXT = """
SELECT id, body, attempts FROM message AS this WHERE stage = ? AND due <= ? AND (order_key = '' OR NOT EXISTS (
  SELECT 1 FROM message AS earlier
  WHERE earlier.stage = this.stage AND earlier.order_key = this.order_key AND earlier.id < this.id))
ORDER BY due, id LIMIT 1
"""
_DROP_EQUAL_TAKEN = """
DELETE FROM message WHERE taken = 1 AND merge_key <> '' AND EXISTS (
  SELECT 1 FROM message AS kept
  WHERE kept.taken = 1 AND kept.stage = message.stage AND kept.merge_key = message.merge_key
  AND (kept.attempts > message.attempts OR (kept.attempts = message.attempts AND kept.id < message.id)))
"""
_HELD = "id = ? AND attempts = ? AND taken = 1"


class SqliteBus:
    """Bus and Queue (ports.bus) at once."""

    def __init__(self, path: Path, pipeline: Pipeline, clock: Clock, *, visibility: float = VISIBILITY) -> None:
        self._pipeline, self._clock, self._visibility = pipeline, clock, visibility
        # What is accepted must outlive a power cut; a taking or an acknowledgement that does not is only done again.
        self._accepting = Database(path, schema=_SCHEMA, version=FORMAT, synchronous="FULL")
        self._working = Database(path, schema=_SCHEMA, version=FORMAT, synchronous="NORMAL")
        self._bells = {stage.name: Bell() for stage in pipeline.queues()}

    def publish(self, messages: Sequence[Dispatch]) -> None:
        """Take all of them, or none."""
        now = self._now()
        ready = [(dispatch, order_key(self._pipeline, dispatch)) for dispatch in messages]
        rows = [
            (stage.name, merge_key(dispatch, order), order, encode(dispatch.envelope), now + dispatch.delay)
            for dispatch, order in ready
            for stage in self._pipeline.subscribers(dispatch.envelope.message.topic)
        ]
        if rows:
            with self._accepting.write() as run:
                for row in rows:
                    _add(run, row)
        for name in {row[0] for row in rows}:
            self._bells[name].ring()

    def receive(self, stage: str, *, wait: float) -> Delivery | None:
        """The next due message, or None after ``wait`` seconds of real time."""
        limits, bell = self._pipeline.stage(stage), self._bells[stage]
        deadline = time.monotonic() + wait
        while True:
            strokes = bell.strokes
            delivery = self._take(limits)
            left = deadline - time.monotonic()
            if delivery is not None or left <= 0:
                return delivery
            bell.wait(strokes, min(left, POLL_SECONDS, self._seconds_to_next(stage)))

    def _seconds_to_next(self, stage: str) -> float:
        now = self._now()
        ((due,),) = self._working.read("SELECT min(due) FROM message WHERE stage = ? AND due > ?", (stage, now))
        return POLL_SECONDS if due is None else float(due) - now

    def _take(self, stage: Stage) -> Delivery | None:
        if not self._working.read(_NEXT, (stage.name, self._now())):  # the usual answer needs no write lock
            return None
        with self._working.write() as run:
            while row := run.execute(_NEXT, (stage.name, self._now())).fetchone():
                number, body, attempts = row
                if attempts >= stage.attempts:
                    _bury(run, number, f"not finished in {attempts} attempts: its worker died or hung each time")
                    continue
                try:
                    envelope = decode(body, attempt=attempts + 1)
                except Terminal as error:
                    _bury(run, number, f"{error.reason}: {error}")
                    continue
                run.execute(
                    "UPDATE message SET attempts = attempts + 1, taken = 1, due = ? WHERE id = ?",
                    (self._now() + self._visibility, number),
                )
                return Delivery(receipt=f"{number}.{attempts + 1}", stage=stage.name, envelope=envelope)
        return None

    def extend(self, delivery: Delivery, seconds: float) -> None:
        """Keep it invisible for ``seconds`` from now; a receipt that somebody took over is ignored."""
        with self._working.write() as run:
            due = self._now() + seconds
            run.execute(f"UPDATE message SET due = ? WHERE {_HELD}", (due, *_receipt(delivery)))  # noqa: S608 (constant)

    def ack(self, delivery: Delivery) -> None:
        """Gone for good; a receipt that somebody took over is ignored."""
        with self._working.write() as run:
            run.execute(f"DELETE FROM message WHERE {_HELD}", _receipt(delivery))  # noqa: S608 (constant)
        self._bells[delivery.stage].ring()  # what was ordered behind it may go on

    def retry(self, delivery: Delivery, *, delay: float, error: str) -> bool:
        """Visible again after ``delay``; False where it became a dead letter."""
        number, attempts = _receipt(delivery)
        with self._working.write() as run:
            held = run.execute(f"SELECT 1 FROM message WHERE {_HELD}", (number, attempts)).fetchone()  # noqa: S608 (constant)
            last = attempts >= self._pipeline.stage(delivery.stage).attempts
            if held and last:
                _bury(run, number, error)
            elif held:
                run.execute("UPDATE message SET taken = 0, due = ? WHERE id = ?", (self._now() + delay, number))
        self._bells[delivery.stage].ring()
        return not (held and last)

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The oldest first."""
        rows = self._working.read("SELECT id, stage, body, error FROM dead_letter ORDER BY id LIMIT ?", (limit,))
        return tuple(DeadLetter(receipt=str(row[0]), stage=row[1], body=row[2], error=row[3]) for row in rows)

    def drop_dead_letters(self, letters: Sequence[DeadLetter], *, again: bool) -> int:
        """Forget them, or give them back to their stages; how many that were. All of them, or none."""
        done = 0
        with self._accepting.write() as run:
            for letter in letters:
                gone = run.execute("DELETE FROM dead_letter WHERE id = ?", (int(letter.receipt),)).rowcount
                if gone and again:
                    order = order_again(self._pipeline, letter.body)
                    run.execute(_ADD, (letter.stage, "", order, letter.body, self._now()))
                done += gone
        for stage in {letter.stage for letter in letters} & self._bells.keys():
            self._bells[stage].ring()
        return done

    def give_back(self) -> int:
        """Make everything that is taken visible now; how many that were.

        For whoever knows that it is the only worker on this file and has taken nothing yet: what is taken was taken
        by a process that died. Of equal wake-ups one is left, the one that was tried most often.
        """
        with self._working.write() as run:
            run.execute(_DROP_EQUAL_TAKEN)
            given = run.execute("UPDATE message SET taken = 0, due = ? WHERE taken = 1", (self._now(),)).rowcount
        for bell in self._bells.values():
            bell.ring()
        return given

    def backlog(self) -> int:
        """Messages that somebody works on, or could take now: 0 means that all is done but for what was delayed."""
        rows = self._working.read("SELECT count(*) FROM message WHERE taken = 1 OR due <= ?", (self._now(),))
        return int(rows[0][0])

    def depth(self) -> dict[str, int]:
        """By stage, empty queues too."""
        counts: dict[str, int] = dict(self._working.read("SELECT stage, count(*) FROM message GROUP BY stage"))
        return {stage.name: counts.get(stage.name, 0) for stage in self._pipeline.queues()}

    def close(self) -> None:
        """Close the file."""
        self._accepting.close()
        self._working.close()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _add(run: sqlite3.Cursor, row: Row) -> None:
    """A new message, or an equal one that nobody has taken yet stands for it from now on: the earlier due time wins."""
    stage, merge, _, body, due = row
    found = run.execute(_EQUAL, (stage, merge)).fetchone()
    if found is None:
        run.execute(_ADD, row)
        return
    number, held, held_due = found
    kept = merged(body, held) if due < held_due else merged(held, body)
    if kept != held:
        run.execute("UPDATE message SET due = ?, body = ? WHERE id = ?", (min(due, held_due), kept, number))


def _bury(run: sqlite3.Cursor, number: int, error: str) -> None:
    run.execute(
        "INSERT INTO dead_letter (id, stage, body, error) SELECT id, stage, body, ? FROM message WHERE id = ?",
        (error, number),
    )
    run.execute("DELETE FROM message WHERE id = ?", (number,))


def _receipt(delivery: Delivery) -> tuple[int, int]:
    number, _, attempts = delivery.receipt.partition(".")
    return int(number), int(attempts)
