"""Quantities are numbers, however they are written."""

from decimal import Decimal

import pytest

from penstock.core.drift.quantity import parse_quantity, same_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("1Gi", "1073741824"),
        ("1e3", "1000"),
        ("2k", "2000"),
        (".5", "0.5"),
        ("-1.5M", "-1500000"),
        (3, "3"),
        ("100n", "1e-7"),
    ],
)
def test_values(text, value):
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "web", "1.2.3", "1 Gi", "Gi", "1e", "0x10"])
def test_other_text_is_no_quantity(text):
    assert parse_quantity(text) is None


def test_two_texts_that_are_no_quantities_are_not_the_same_quantity():
    assert not same_quantity("web", "web")
    assert same_quantity("1024Mi", "1Gi")
