"""Firestore's answers that are rarer than its emulator gives them, as its reference has them, to the adapter alone."""

import json

import pytest
from tests.google import plane as google

from penstock.adapters.google.client import GoogleClient
from penstock.adapters.identity.kept import Kept
from penstock.adapters.state.firestore import FirestoreState
from penstock.core.errors import Conflict, Transient
from penstock.core.http import HttpResponse
from penstock.ports.state import ABSENT

VERSIONS = ["2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000002Z"]


class Firestore:
    """Keeps one record. ``commits``: what the next ones answer, an error's code or "" for taken."""

    def __init__(self, *commits, there=None):
        self.commits, self.there, self.answer = list(commits), there, None

    def __call__(self, request):
        if self.answer is not None:
            return HttpResponse(status=200, body=self.answer)
        if request.method == "GET":
            return self.found()
        code = self.commits.pop(0)
        if code:
            return said(409, {"error": {"code": 409, "status": code, "message": "canary"}})
        self.there = VERSIONS[1]
        return said(200, {"writeResults": [{"updateTime": self.there}]})

    def found(self):
        if self.there is None:
            return said(404, {"error": {"code": 404, "status": "NOT_FOUND"}})
        fields = {name: {"stringValue": "x"} for name in ("k", "w", "f")} | {"j": {"stringValue": "{}"}}
        return said(200, {"name": "n", "fields": fields, "updateTime": self.there})


def said(status, value):
    return HttpResponse(status=status, body=json.dumps(value).encode())


def state(send):
    return FirestoreState(GoogleClient(send, google.no_token, Kept()), google.names(firestore="http://localhost:1"))


def document(number):
    fields = {"k": {"stringValue": f"k{number}"}, "j": {"stringValue": "{}"}, "f": {"stringValue": "1"}}
    return {"document": {"name": "n", "fields": fields, "updateTime": VERSIONS[0]}, "readTime": VERSIONS[0]}


@pytest.mark.parametrize("call", [lambda s: s.list("k"), lambda s: s.due(1.0, limit=9)])
@pytest.mark.parametrize("before", [0, 1, 99])
def test_a_list_that_ends_with_an_error_is_no_list(call, before):
    """The status of a stream is sent before its end is known: what came of it is not all there is."""
    firestore = Firestore()
    error = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "canary"}}
    firestore.answer = json.dumps([*map(document, range(before)), error]).encode()
    with pytest.raises(Transient) as caught:
        call(state(firestore))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("answer", [b"<html>busy</html>", b'[{"document": '])
def test_an_answer_that_is_none_of_googles_is_asked_for_again(answer):
    firestore = Firestore()
    firestore.answer = answer
    with pytest.raises(Transient):
        state(firestore).list("k")


@pytest.mark.parametrize(
    ("there", "expected", "conflict"),
    [
        (None, None, False),
        (VERSIONS[0], None, False),
        (None, ABSENT, False),
        (VERSIONS[0], VERSIONS[0], False),
        (VERSIONS[1], VERSIONS[0], True),
        (VERSIONS[0], ABSENT, True),
        (None, VERSIONS[0], True),
    ],
)
@pytest.mark.parametrize("write", ["put", "delete"])
def test_who_was_only_in_the_way_is_not_taken_for_somebody_who_wrote(write, there, expected, conflict):
    """ABORTED says that others were at the document, not that its condition did not hold."""
    if write == "delete" and expected == ABSENT:
        pytest.skip("nothing is written")
    records = state(Firestore("ABORTED", there=there))
    with pytest.raises(Transient) as caught:
        records.put("k", {}, expected=expected) if write == "put" else records.delete("k", expected=expected)
    assert isinstance(caught.value, Conflict) is conflict
