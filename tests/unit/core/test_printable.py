"""Others' words are shown, and give no orders."""

import pytest

from penstock.core.errors import InvalidDocument, Transient
from penstock.core.messages import Event
from penstock.core.printable import printable
from penstock.core.records import Condition

EVIL = "\x1b[31mred\x07 \u202eevil\u2066 \x9b2J \ud800"
SHOWN = "\\x1b[31mred\\x07 \\u202eevil\\u2066 \\x9b2J \\ud800"


@pytest.mark.parametrize(
    ("text", "shown"),
    [(EVIL, SHOWN), ("two\nlines\tand a tab", None), ("a\rb", "a\\rb"), ("Zoë 👩\u200d💻 日本", None), ("", None)],
)
def test_control_characters_are_shown_as_escapes(text, shown):
    assert printable(text) == (text if shown is None else shown)


def test_no_message_to_people_holds_any():
    assert str(Transient(f"a key {EVIL}")) == f"a key {SHOWN}"
    assert str(InvalidDocument("is wrong", path=EVIL, file="a.yaml")) == f"a.yaml, {SHOWN}: is wrong"
    assert Condition(type="Ready", status="False", reason="x", message=EVIL).message == SHOWN
    about = {"cluster": "c", "api_version": "v1", "kind": "K", "namespace": "n", "name": "x"}
    event = Event(
        id="1", **about, severity="error", reason="r", message=EVIL, timestamp="", metadata={"revision": EVIL}
    )
    assert (event.message, event.metadata) == (SHOWN, {"revision": SHOWN})
