"""Events that are kept with a status: for so long, so many, so large."""

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.messages import Event
from penstock.core.reconcile.outbox import KEPT, MOST, MOST_BYTES, events_of, with_events


def event(ident, message="ConfigMap/apps/a configured"):
    return Event(
        id=str(ident),
        cluster="prod",
        api_version="kustomize.toolkit.fluxcd.io/v1",
        kind="Kustomization",
        namespace="flux-system",
        name="apps",
        severity="info",
        reason="Progressing",
        message=message,
        timestamp="2026-01-01T00:00:00Z",
        metadata={"revision": "main@sha1:1"},
    )


def stored(entries):
    """As it comes back from a record."""
    return tuple(json.loads(json.dumps(entries)))


def test_what_is_kept_is_the_event_itself():
    entries = stored(with_events((), [event(1), event(2)], 100.0))
    assert events_of(entries, 101.0) == [event(1), event(2)]


def test_the_same_event_is_kept_once_and_its_time_is_that_of_the_first():
    first = with_events((), [event(1)], 0.0)
    assert with_events(first, [event(1), event(1), event(2)], 50.0) == (
        {"at": 0.0, "event": asdict(event(1))},
        {"at": 50.0, "event": asdict(event(2))},
    )


def test_after_its_time_it_is_out():
    entries = with_events((), [event(1)], 0.0)
    assert events_of(entries, KEPT - 1) == [event(1)]
    assert events_of(entries, KEPT) == []
    assert with_events(entries, [], KEPT) == ()
    assert events_of(with_events(entries, [event(2)], KEPT), KEPT) == [event(2)]


def test_what_happens_again_after_its_time_is_kept_again():
    entries = with_events((), [event(1)], 0.0)
    assert with_events(entries, [event(1)], KEPT) == ({"at": KEPT, "event": asdict(event(1))},)


def test_one_event_is_kept_whatever_its_size():
    large = event(1, "x" * (2 * MOST_BYTES))
    assert events_of(with_events((), [event(0), large], 0.0), 0.0) == [large]


@given(st.lists(st.integers(1, MOST_BYTES // 3), max_size=3 * MOST))
def test_the_newest_are_kept_within_the_bounds(sizes):
    events = [event(number, "x" * size) for number, size in enumerate(sizes)]
    entries = with_events((), events, 0.0)
    assert events_of(entries, 0.0) == events[len(events) - len(entries) :]
    assert len(entries) <= MOST
    assert len(json.dumps(entries)) <= MOST_BYTES + 2 * MOST
    assert entries or not events
