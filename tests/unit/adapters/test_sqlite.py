"""What only the SQLite adapters promise: formats, several processes, errors of the file."""

import os
import sqlite3
import threading
import time

import pytest

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.state.database import Database
from penstock.adapters.state.sqlite import SqliteState
from penstock.core.errors import Terminal, Transient
from penstock.core.messages import Envelope, SourceChanged
from penstock.ports.bus import Dispatch
from penstock.wiring import load_pipeline
from penstock.wiring.outcome import outcome_of


def dispatch(name="web"):
    message = SourceChanged(cluster="c", namespace="n", name=name)
    return Dispatch(envelope=Envelope(message=message, id=name, traceparent=""))


def test_a_file_of_a_newer_release_is_refused(tmp_path):
    path = tmp_path / "state.db"
    SqliteState(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(Terminal, match="has format 2, this release reads 1"):
        SqliteState(path)


def test_what_is_no_database_is_named(tmp_path):
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Terminal, match=r"state\.db cannot be used"):
        SqliteState(path)


def test_a_file_that_is_damaged_ends_no_message_and_says_what_to_do(tmp_path):
    """The run comes again, and is a dead letter at worst: nothing that was in hand is lost with the file."""
    path = tmp_path / "state.db"
    state = SqliteState(path)
    for number in range(200):
        state.put(f"a/{number}", {"x": "y" * 500}, expected=None)
    state.close()
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = os.urandom(len(data) - 4096 * 2)
    path.write_bytes(data)
    damaged = SqliteState(path)
    with pytest.raises(
        Transient, match=r"state\.db is damaged: .*: stop the plane and restore it from a backup"
    ) as caught:
        damaged.list("a/")
    assert outcome_of(caught.value, attempt=1).again
    damaged.close()


@pytest.mark.parametrize("adapter", ["bus", "state"])
def test_a_full_disk_is_transient_takes_nothing_in_part_and_passes(tmp_path, adapter):
    """SQLite's own limit of a file's size, which answers as a disk does that is full."""
    path = tmp_path / "one.db"
    made = SqliteState(path) if adapter == "state" else SqliteBus(path, load_pipeline(), SimulatedClock())
    database = made._database if adapter == "state" else made._accepting

    def write():
        if adapter == "state":
            made.put("a/b", {"x": "y" * 100_000}, expected=None)
        else:
            made.publish([dispatch("small"), dispatch("x" * 50_000)])

    def held():
        return len(made.list("")) if adapter == "state" else made.depth()["fetch"]

    ((pages,),) = database.read("PRAGMA page_count")
    database.read(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(Transient, match=r"one\.db: database or disk is full"):
        write()
    assert held() == 0
    database.read("PRAGMA max_page_count = 100000")
    write()
    assert held() == (1 if adapter == "state" else 2)
    made.close()


def test_a_commit_that_fails_leaves_no_transaction_behind(tmp_path):
    """A deferred constraint is judged at the commit, as a write that does not fit may be."""
    later = "n REFERENCES p DEFERRABLE INITIALLY DEFERRED"
    schema = f"CREATE TABLE IF NOT EXISTS p (n PRIMARY KEY); CREATE TABLE IF NOT EXISTS t ({later})"
    database = Database(tmp_path / "x.db", schema=schema, version=1)
    database.read("PRAGMA foreign_keys = ON")
    with pytest.raises(Terminal, match="FOREIGN KEY"), database.write() as run:
        run.execute("INSERT INTO t VALUES (1)")
    with database.write() as run:
        run.execute("INSERT INTO p VALUES (2)")
    assert (database.read("SELECT n FROM t"), database.read("SELECT n FROM p")) == ([], [(2,)])
    database.close()


def test_a_directory_that_does_not_exist_is_transient(tmp_path):
    with pytest.raises(Transient, match="unable to open"):
        SqliteState(tmp_path / "missing" / "state.db")


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    database = Database(tmp_path / "x.db", schema="CREATE TABLE IF NOT EXISTS t (n)", version=1)
    with pytest.raises(Transient, match="no such table"), database.write() as run:
        [run.execute(f"INSERT INTO {table} VALUES (1)") for table in ("t", "none")]
    assert database.read("SELECT count(*) FROM t") == [(0,)]
    database.close()


def test_records_outlive_the_adapter(tmp_path):
    state = SqliteState(tmp_path / "state.db")
    state.put("k", {"n": 1}, expected=None, due=5.0)
    state.close()
    again = SqliteState(tmp_path / "state.db")
    assert (again.get("k").value, again.get("k").due) == ({"n": 1}, 5.0)
    again.close()


def test_due_and_prefix_queries_use_an_index(tmp_path):
    SqliteState(tmp_path / "state.db").close()
    connection = sqlite3.connect(tmp_path / "state.db")
    for query in ("due <= 1 ORDER BY due, key", "key >= 'a' AND key < 'b' ORDER BY key"):
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN SELECT key, value FROM record WHERE {query}").fetchall())
        assert "USING INDEX" in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    connection.close()


def test_a_message_of_another_process_is_seen_by_polling(tmp_path):
    one = SqliteBus(tmp_path / "bus.db", load_pipeline(), SystemClock())
    other = SqliteBus(tmp_path / "bus.db", load_pipeline(), SystemClock())  # its bell rings for nobody here
    timer = threading.Timer(0.05, lambda: other.publish([dispatch()]))
    timer.start()
    started = time.monotonic()
    assert one.receive("fetch", wait=5).envelope.message.name == "web"
    assert time.monotonic() - started < 2
    timer.join()
    one.close()
    other.close()


def test_giving_back_makes_what_is_taken_visible_and_counts_the_attempt(tmp_path):
    clock = SimulatedClock()
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), clock)
    bus.publish([dispatch("a"), dispatch("b")])
    bus.receive("fetch", wait=0)
    assert bus.give_back() == 1
    assert bus.give_back() == 0
    again = [bus.receive("fetch", wait=0) for _ in range(3)]
    assert {d.envelope.message.name: d.envelope.attempt for d in again if d} == {"a": 2, "b": 1}
    bus.close()


def test_of_equal_wake_ups_that_died_together_one_is_given_back(tmp_path):
    clock = SimulatedClock()
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), clock)
    for _ in range(3):
        bus.publish([dispatch("a")])
        bus.receive("fetch", wait=0)
    bus.publish([dispatch("b")])
    bus.receive("fetch", wait=0)
    bus.publish([dispatch("a")])  # waiting: nobody took it
    clock.advance(31)
    assert bus.receive("fetch", wait=0).envelope.attempt == 1  # that one
    assert bus.receive("fetch", wait=0).envelope.attempt == 2  # the first again: it was tried most often
    assert bus.give_back() == 2
    again = [bus.receive("fetch", wait=0) for _ in range(4)]
    assert [(d.envelope.message.name, d.envelope.attempt) for d in again if d] == [("a", 3), ("b", 2)]
    bus.close()


def test_backlog_counts_what_is_due_or_in_hand_but_not_what_is_delayed(tmp_path):
    clock = SimulatedClock()
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), clock)
    bus.publish([dispatch("a"), Dispatch(envelope=dispatch("later").envelope, delay=60)])
    assert bus.backlog() == 1
    taken = bus.receive("fetch", wait=0)
    assert bus.backlog() == 1
    bus.ack(taken)
    assert bus.backlog() == 0
    clock.advance(60)
    assert bus.backlog() == 1
    bus.close()


def test_a_closed_file_is_an_error_of_ours(tmp_path):
    state = SqliteState(tmp_path / "state.db")
    state.close()
    with pytest.raises(Terminal, match="cannot be used"):
        state.get("k")


def test_a_row_that_cannot_be_read_becomes_a_dead_letter_and_the_next_is_served(tmp_path):
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), SystemClock())
    bus.publish([dispatch("a"), dispatch("b")])
    connection = sqlite3.connect(tmp_path / "bus.db")
    connection.execute("UPDATE message SET body = 'of another release' WHERE id = 1")
    connection.commit()
    connection.close()
    assert bus.receive("fetch", wait=0).envelope.message.name == "b"
    (letter,) = bus.dead_letters()
    assert letter.error == "ReconciliationFailed: not a message of this plane: JSONDecodeError"
    bus.close()
