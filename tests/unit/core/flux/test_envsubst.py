import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import BuildFailed
from penstock.core.flux.envsubst import LONGEST_RESULT, MOST_NESTED, Watched, expand

VALUES = {"v": "abcabc", "empty": "", "path": "a/b/c.tar.gz", "word": "Éß x", "n": "2", "star": "*"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain $v $(v) text$", "plain $v $(v) text$"),
        ("<${v}>", "<abcabc>"),
        ("${v}${n}", "abcabc2"),
        ("${empty}", ""),
        # defaults
        ("${none:=d}${none:-e}${none=f}", "def"),
        ("${none:+d}${none:?e}", "de"),
        ("${v:=d}${v:+d}", "abcabcabcabc"),
        ("${empty:=d}", "d"),
        ("${none:=}", ""),
        ("${none:=a ${n} b}", "a 2 b"),
        ("${none:=${v:1:2}}", "bc"),
        ("${none:=$$x}", "$$x"),
        ("${none:={}}", "{}"),
        ("${v:={}}", "abcabc}"),
        # substrings
        ("${v:2}", "cabc"),
        ("${v:1:2}", "bc"),
        ("${v:-2}", "abcabc"),
        ("${v: -2}", "abcabc"),
        ("${v:0:99}", "abcabc"),
        ("${v:99}", ""),
        ("${v:99:1}", ""),
        ("${v:x}", "abcabc"),
        ("${v:1:x}", "abcabc"),
        ("${v:${n}}", "cabc"),
        ("${v:+1}", "abcabc"),
        # length and case
        ("${#v} ${#word} ${#empty}", "6 6 0"),
        ("${v^} ${v^^} ${word,} ${word,,}", "Abcabc ABCABC éß x éß x"),
        ("${word^^}", "ÉSS X".replace("SS", "ß")),
        ("${v,^}", "abcabc"),
        # removal
        ("${path#*/} ${path##*/}", "b/c.tar.gz c.tar.gz"),
        ("${path%.*} ${path%%.*}", "a/b/c.tar a/b/c"),
        ("${v#[a-b]} ${v#[^a]} ${v#?} ${v##a*}", "bcabc abcabc bcabc "),
        ("${v#[a} ${v#[} ${v#a\\} ${v#[]} ${v#[a-]}", "abcabc abcabc abcabc abcabc abcabc"),
        ("${star#\\*}|", "|"),
        ("${v%[a-c]}", "abcabc"),
        ("${v#z}", "abcabc"),
        ("${v##abcabcabc}", "abcabc"),
        # replacement
        ("${v/b/X} ${v//b/X}", "aXcabc aXcaXc"),
        ("${v/#ab/X} ${v/%bc/X}", "Xcabc abcaX"),
        ("${v/#x/X} ${v/%x/X}", "abcabc abcabc"),
        ("${v/b/} ${v//b/}", "acabc acac"),
        ("${v/#a/} ${v/%c/} ${v/#z/}", "abcabc abcabc abcabc"),
        ("${path//\\//-}", "a-b-c.tar.gz"),
        ("${v/a/\\\\}", "\\bcabc"),
        ("${v/a/$$}", "$bcabc"),
        ("${v/${n}/x}", "abcabc"),
        ("${v//${empty}/-}", "-a-b-c-a-b-c-"),
        # escapes
        ("$${v} $$$${v} $$$v", "${v} $${v} $$v"),
        ("a$$b", "a$b"),
        ("$$${v}", "$abcabc"),
    ],
)
def test_forms(template: str, expected: str) -> None:
    assert expand(template, VALUES) == expected


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("${none}", 'variable not set (strict mode): "none"'),
        ("${none^^}", 'variable not set (strict mode): "none"'),
        ("${v:=${none}}", 'variable not set (strict mode): "none"'),
        ("${v-d}", "missing closing brace"),
        ("${v", "missing closing brace"),
        ("${A.b}", "missing closing brace"),
        ("${}", "unable to parse variable name"),
        ("${ v }", "unable to parse variable name"),
        ("${-x}", "unable to parse variable name"),
        ("${v:}", "unable to parse substitution within function"),
        ("${v#}", "unable to parse substitution within function"),
        ("${v:=x", "unable to parse substitution within function"),
        ("${v:", "bad substitution"),
        ("${v:1", "bad substitution"),
        ("${v:${n}x}", "bad substitution"),
        ("${#}", "bad substitution"),
        ("${#v:}", "bad substitution"),
        ("${v/a}", "bad substitution"),
        ("${v/a/b", "bad substitution"),
        ("${v:2:-1}", "must not be negative"),
        ("${word:1}", "cuts a character in two"),
        ("${v:=" * (MOST_NESTED + 1), "nested deeper than 50 levels"),
    ],
)
def test_errors(template: str, problem: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        expand(template, VALUES)
    assert str(caught.value).startswith("envsubst error: ")
    assert problem in str(caught.value)


def test_lax_mode_takes_an_unset_variable_for_empty() -> None:
    assert expand("<${none}${none^^}${none:1}>", {}, strict=False) == "<>"


def test_the_result_is_bounded() -> None:
    with pytest.raises(BuildFailed, match="longer than"):
        expand("${big}" * 17, {"big": "x" * (LONGEST_RESULT // 16)})


def test_patterns_cannot_hang_it() -> None:
    assert expand("${v##" + "*a" * 200 + "b}", {"v": "a" * 5000}) == "a" * 5000


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("<${v}>", {"abcabc"}),
        ("<${v^^}>${word}", {"ABCABC"}),
        ("${v/b/X} ${v:2} ${v:0:3}", {"aXcabc", "cabc", "abc"}),
        ("${none:=pre-${v^^}}", {"pre-ABCABC"}),
        ("${word} ${n} $${v}", set()),
    ],
)
def test_what_is_made_of_a_secret_variable_is_known(template: str, made: set[str]) -> None:
    watched = Watched(names=frozenset({"v"}))
    assert expand(template, VALUES, watched=watched) == expand(template, VALUES)
    assert watched.made == made


@given(st.text(alphabet="${}:=-+?#%/\\*[]^,ab1 é", max_size=30))
def test_any_text_gives_a_text_or_build_failed(template: str) -> None:
    with contextlib.suppress(BuildFailed):
        assert isinstance(expand(template, {"a": "value", "b": ""}), str)


@given(st.text(alphabet="ab{}:/é \n", max_size=30))
def test_text_without_dollars_stays(text: str) -> None:
    assert expand(text, {}) == text
