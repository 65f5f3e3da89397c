"""Filters of Receivers: what they see, and that both have to let an object through."""

import pytest

from penstock.core.cel.expression import EvaluationFailed
from penstock.core.http import HttpRequest
from penstock.core.webhooks.filters import filter_problem, lets_through, request_data

OBJECT = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "web", "annotations": {"image": "registry.example/web"}},
    "spec": {"url": "https://git.example"},
}
REQUEST = {"ref": "refs/heads/main", "repository": {"name": "web"}}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"filter": "res.metadata.name == req.repository.name"}, True),
        ({"receiverFilter": "req.ref.endsWith('/main')", "filter": "res.kind == 'GitRepository'"}, True),
        ({"receiverFilter": "req.ref.endsWith('/dev')", "filter": "true"}, False),
        ({"receiverFilter": "true", "filter": "res.metadata.annotations['image'] == 'x'"}, False),
        ({"filter": "has(res.spec)"}, False),
        ({}, True),
    ],
)
def test_all_filters_have_to_let_it_through(filters, expected):
    assert lets_through(filters, OBJECT, REQUEST) is expected


def test_what_cannot_be_told_is_an_error():
    with pytest.raises(EvaluationFailed, match="no such key: labels"):
        lets_through({"filter": "res.metadata.labels.team == 'a'"}, OBJECT, REQUEST)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [("res.kind == 'A' && req.x == 1", ""), ("res.", "Syntax error"), ("claims.sub == 'a'", "undeclared reference"), ("req.x", "expected bool")],
)  # fmt: skip
def test_a_filter_has_res_and_req_and_is_a_boolean(expression, problem):
    found = filter_problem(expression)
    assert (problem in found) if problem else not found


@pytest.mark.parametrize(
    ("media", "body", "expected"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/x-www-form-urlencoded", b'{"a": 1}', {}),
        ("application/json", b"[1]", {}),
        ("application/json", b"{", {}),
        ("application/json", b"[" * 100_000, {}),
        ("", b"", {}),
    ],
)
def test_the_request_is_its_json_body(media, body, expected):
    assert request_data(HttpRequest(method="POST", path="/", headers={"content-type": media}, body=body)) == expected
