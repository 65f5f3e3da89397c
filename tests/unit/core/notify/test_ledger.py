"""The records of what was told: keys by day, leases, repeats and what may be swept."""

from dataclasses import replace
from datetime import date

import pytest
from tests.unit.core.notify.test_match import EVENT

from penstock.core.notify import ledger

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [("2026-03-09T23:59:59Z", "2026-03-09"), ("", "2026-03-10"), ("yesterday, about noon", "2026-03-10")],
)
def test_a_redelivery_finds_the_day_of_the_event(timestamp, day):
    assert ledger.day_of(replace(EVENT, timestamp=timestamp), TODAY) == day


def test_keys():
    assert ledger.sent_key("2026-03-10", EVENT, "production", "ns/a") == "sent/2026-03-10/1/production/ns/a"
    assert ledger.repeat_record_key("2026-03-10", "ff") == "sent/2026-03-10/repeats/ff"


@pytest.mark.parametrize(
    ("event", "age", "expected"), [("other", 0, True), ("other", 299, True), ("other", 300, False), ("1", 0, False)]
)
def test_another_event_repeats_within_five_minutes(event, age, expected):
    value = ledger.repeat_value(replace(EVENT, id=event), 1000.0)
    assert ledger.is_repeat(value, EVENT, 1000.0 + age) is expected


@pytest.mark.parametrize(("age", "wait"), [(-5, 65), (0, 3), (2.5, 0.5), (3, 57), (20, 40), (60, 0), (75, -15)])
def test_a_claim_is_looked_at_soon_and_then_when_it_is_void(age, wait):
    assert ledger.look_again(ledger.outcome_value(ledger.CLAIMED, 1000.0), 1000.0 + age) == wait


@pytest.mark.parametrize(
    ("swept", "days"),
    [
        (None, ("2026-03-03",)),
        (ledger.swept_value(TODAY), ()),
        (ledger.swept_value(date(2026, 3, 9)), ("2026-03-02", "2026-03-03")),
        (ledger.swept_value(date(2026, 3, 7)), ("2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03")),
        (ledger.swept_value(date(2026, 3, 20)), ("2026-03-03",)),
        ({"day": "never"}, ("2026-03-03",)),
    ],
)
def test_days_are_swept_once_and_none_is_left_out(swept, days):
    assert ledger.days_to_sweep(swept, TODAY) == days


def test_a_sweep_is_bounded():
    assert len(ledger.days_to_sweep(ledger.swept_value(date(2020, 1, 1)), TODAY)) == 61
