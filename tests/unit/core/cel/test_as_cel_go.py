"""What cel-go answers, with the options and libraries that Flux gives it: recorded once, compared here.

cel_go.json was made with cel-go 0.26.1. ``parsed``: over the top-level fields of ``data``, as healthCheckExprs are
evaluated; ``checked``: over ``self`` and ``dep``, both ``data``, as readyExpr is. Outcomes: true, false, notbool, error
(when it is evaluated), refused (before that: Flux calls it a terminal error).
"""

import json
from pathlib import Path

import pytest

from penstock.core.cel.expression import EvaluationFailed, InvalidExpression, compile_boolean, parse

RECORDED = json.loads((Path(__file__).parent / "cel_go.json").read_text())
DATA = RECORDED["data"]
DIFFERENT = {
    "has(spec.empty.x)": "error",
    "has(metadata.name.x)": "error",
    "metadata.name.matches('(')": "error",
    "int('x') == 1": "error",
    "metadata.`name` == 'web'": "true",
    "metadata.labels.`a/b` == 'c'": "true",
    "[1, 'a'].size() == 2": "true",
}
"""Where the runtime differs, and its answer: docs/decisions/0010-cel.md names each."""


def outcome(evaluate):
    try:
        return str(evaluate()).lower()
    except InvalidExpression:
        return "refused"
    except EvaluationFailed as error:
        return "notbool" if "as boolean" in str(error) else "error"


@pytest.mark.parametrize(("text", "expected"), RECORDED["parsed"])
def test_a_parsed_expression_answers_as_in_cel_go(text, expected):
    assert outcome(lambda: parse(text).holds(DATA)) == DIFFERENT.get(text, expected)


@pytest.mark.parametrize(("text", "expected"), RECORDED["checked"])
def test_a_checked_expression_answers_as_in_cel_go(text, expected):
    both = {"self": DATA, "dep": DATA}
    assert outcome(lambda: compile_boolean(text, ("self", "dep")).holds(both)) == DIFFERENT.get(text, expected)


def test_the_differences_are_differences():
    recorded = dict(RECORDED["parsed"] + RECORDED["checked"])
    assert all(recorded[text] != ours for text, ours in DIFFERENT.items())
