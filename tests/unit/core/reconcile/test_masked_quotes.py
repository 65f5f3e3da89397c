"""Errors of API servers quote values: of ours they lose what is hidden."""

import base64

import pytest

from penstock.core.reconcile.masked import Mask
from penstock.core.resources import ObjectRef

TOKEN = 'canary "one"\nof many'
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s"},
    "data": {"t": base64.b64encode(TOKEN.encode()).decode()},
}
OPENED = {
    "apiVersion": "v1",
    "kind": "Thing",
    "metadata": {"name": "canary-name"},
    "spec": {"list": ["canary-two", 12345678]},
}
MASK = Mask(decrypted=frozenset({ObjectRef(kind="Thing", name="canary-name")}), values=("canary-three", "short"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"Invalid value: {TOKEN}!", "Invalid value: ***!"),
        ('Invalid value: "canary \\"one\\"\\nof many"', 'Invalid value: "***"'),
        (f"Invalid value: {SECRET['data']['t']}", "Invalid value: ***"),
        ("a canary-two b canary-three c 12345678", "a *** b *** c ***"),
        ("Thing canary-name is short", "Thing canary-name is short"),
        ("Invalid value: canary-th …", "Invalid value: *** …"),
        ("Invalid value: canary-th", "Invalid value: canary-th"),
    ],
)
def test_what_is_hidden_is_not_quoted(text: str, told: str) -> None:
    assert MASK.quoted(text, [SECRET, OPENED]) == told
