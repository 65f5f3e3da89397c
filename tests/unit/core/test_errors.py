import pytest

from penstock.core.errors import (
    BuildFailed,
    Conflict,
    InvalidDocument,
    NotFound,
    PenstockError,
    Refused,
    Terminal,
    Transient,
)


@pytest.mark.parametrize(
    ("kind", "base", "reason"),
    [
        (Transient, PenstockError, "ReconciliationFailed"),
        (Conflict, Transient, "ReconciliationFailed"),
        (Terminal, PenstockError, "ReconciliationFailed"),
        (BuildFailed, Terminal, "BuildFailed"),
        (InvalidDocument, Terminal, "BuildFailed"),
        (Refused, Terminal, "AccessDenied"),
        (NotFound, Terminal, "NotFound"),
    ],
)
def test_each_error_is_transient_or_terminal_and_has_a_reason(kind, base, reason):
    error = kind("what happened")
    assert isinstance(error, base)
    assert isinstance(error, Transient) != isinstance(error, Terminal)
    assert (str(error), error.reason) == ("what happened", reason)


def test_a_reason_can_be_given():
    assert Refused("x", reason="OwnedByOther").reason == "OwnedByOther"
    assert Refused("x").reason == "AccessDenied"


def test_transient_says_when_to_come_again():
    assert Transient("x", retry_after=3.0).retry_after == 3.0
    assert Conflict("x").retry_after is None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, "is wrong"),
        ({"path": "spec.path"}, "spec.path: is wrong"),
        ({"file": "apps/k.yaml", "document": 2, "path": "spec"}, "apps/k.yaml, document 2, spec: is wrong"),
        ({"document": 0}, "document 0: is wrong"),
        ({"document": "Kustomization/a/b", "path": "spec"}, "Kustomization/a/b, spec: is wrong"),
    ],
)
def test_an_invalid_document_names_file_document_and_field(where, message):
    error = InvalidDocument("is wrong", **where)
    assert str(error) == message
    assert error.problem == "is wrong"
