import json

from penstock.core.http import HttpRequest, HttpResponse, json_response, problem


def test_a_json_answer():
    answer = json_response(202, {"a": "é"}, headers={"location": "/x"})
    assert (answer.status, dict(answer.headers)) == (202, {"content-type": "application/json", "location": "/x"})
    assert json.loads(answer.body) == {"a": "é"}
    assert answer.body.endswith(b"\n")


def test_a_problem_is_rfc_9457_and_has_a_detail_only_where_one_is_given():
    answer = problem(404, "Not Found", "see /status")
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "status": 404,
        "title": "Not Found",
        "detail": "see /status",
    }
    assert "detail" not in json.loads(problem(404, "Not Found").body)


def test_headers_bodies_and_urls_are_not_in_a_repr():
    request = HttpRequest(
        method="POST", path="/hook/x", headers={"authorization": "canary"}, body=b"canary", url="https://canary"
    )
    assert "canary" not in repr(request)
    assert HttpResponse(status=204).body == b""
