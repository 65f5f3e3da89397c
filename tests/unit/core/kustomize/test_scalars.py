"""Plain scalars as go-yaml reads them, numbers as Go prints them."""

import math

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.scalars import number_text, reads_as_string, resolve, resolve_old, timestamp


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("+5", 5),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b11", 3),
        ("-0b11", -3),
        ("0o17", 15),
        ("0644", 420),
        ("08", 8.0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("-.inf", -math.inf),
        ("yes", "yes"),
        ("on", "on"),
        ("1.2.3", "1.2.3"),
        ("1:30", "1:30"),
        ("0x", "0x"),
        ("-", "-"),
        (".", "."),
        ("2020-1-2", "2020-01-02T00:00:00Z"),
    ],
)
def test_a_plain_scalar_of_a_resource(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("Off", False), ("n", False), ("2020-01-02", "2020-01-02"), ("1", 1)]
)
def test_a_plain_scalar_of_a_kustomization_file(text, value):
    assert resolve_old(text) == value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
        ("2001-12-14 21:59:43", "2001-12-14T21:59:43Z"),
        ("2001-12-14T21:59:43+00:00", "2001-12-14T21:59:43Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2023-02-29", None),
        ("2020-13-01", None),
        ("2001-12-14T21:59:43", None),
        ("2001-12-14 25:00:00", None),
        ("20-1-1", None),
    ],
)
def test_timestamps(text, moment):
    assert timestamp(text) == moment


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (1e3, "1000"),
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (1234567.5, "1.2345675e+06"),
        (123456.789, "123456.789"),
        (1e20, "1e+20"),
        (1e22, "1e+22"),
        (2.725708867357901e16, "27257088673579010"),
        (-0.0, "0"),
        (2**64, "1.8446744073709552e+19"),
        (-(2**63), "-9223372036854775808"),
    ],
)
def test_numbers_are_printed_as_go_prints_them(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_json_cannot_hold_is_an_error(value):
    with pytest.raises(BuildFailed, match="no JSON form"):
        number_text(value)


@pytest.mark.parametrize(
    ("text", "string"),
    [("a", True), ("yes", False), ("1:30", False), ("<<", False), ("", False), ("1.2.3", True), ("nope", True)],
)
def test_what_needs_quotes(text, string):
    assert reads_as_string(text) is string
