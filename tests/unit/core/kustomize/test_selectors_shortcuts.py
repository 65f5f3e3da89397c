"""Expressions that need no engine mean what RE2 says that they mean."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.kustomize.selectors import part, whole

PATTERNS = st.lists(st.sampled_from(["a", "b-", ".*", ".+", "|", "_/"]), max_size=4).map("".join)
TEXTS = st.text(st.sampled_from("ab-_/|.*+\n"), max_size=6)


@given(pattern=PATTERNS.filter(bool), text=TEXTS)
def test_shortcuts_agree_with_the_engine(pattern, text):
    assert whole(pattern)(text) == part(f"^(?:{pattern})$")(text)
