import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.flat import unflatten
from penstock.core.secrets.ini import emit_ini, load_ini
from penstock.core.secrets.values import Comment, decrypt_value, encrypt_value, is_ciphertext, mac_bytes

KEY, NONCE = bytes(range(32)), bytes(range(32, 64))


@given(st.text(), st.text(max_size=5))
def test_what_is_encrypted_decrypts(text: str, path: str) -> None:
    sealed = encrypt_value(text, KEY, path, NONCE)
    assert decrypt_value(sealed, KEY, path) == text
    assert is_ciphertext(sealed) == bool(text)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("int", "42", 42),
        ("float", "0.5", 0.5),
        ("bool", "True", True),
        ("bool", "false", False),
        ("bytes", "x", b"x"),
        ("time", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ],
)
def test_types(kind: str, text: str, expected: object) -> None:
    sealed = encrypt_value(text, KEY, "a:", NONCE).replace("type:str", f"type:{kind}")
    assert decrypt_value(sealed, KEY, "a:") == expected


def test_a_comment_keeps_its_text() -> None:
    sealed = encrypt_value(" note", KEY, "a:", NONCE).replace("type:str", "type:comment")
    found = decrypt_value(sealed, KEY, "a:")
    assert isinstance(found, Comment)
    assert found.text == " note"


@pytest.mark.parametrize(
    ("kind", "text"), [("int", "canary"), ("float", "canary"), ("bool", "canary"), ("odd", "canary")]
)
def test_a_value_that_is_not_of_its_type_is_not_told(kind: str, text: str) -> None:
    sealed = encrypt_value(text, KEY, "a:", NONCE).replace("type:str", f"type:{kind}")
    with pytest.raises(SopsError) as caught:
        decrypt_value(sealed, KEY, "a:")
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", "é".encode()),
        (True, b"True"),
        (False, b"False"),
        (7, b"7"),
        (3.0, b"3"),
        (0.1, b"0.1"),
        (1e21, b"1000000000000000000000"),
        (1e-7, b"0.0000001"),
        (float("inf"), b"+Inf"),
        (b"\xff", b"\xff"),
        (Comment("c"), b"c"),
    ],
)
def test_what_the_mac_covers(value: object, expected: bytes) -> None:
    assert mac_bytes(value) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        ({"mac": "x"}, {"mac": "x"}),
        ({"age__list_0__map_enc": "e", "age__list_0__map_recipient": "r"}, {"age": [{"enc": "e", "recipient": "r"}]}),
        ({"a__list_1": "y", "a__list_0": "x"}, {"a": ["x", "y"]}),
    ],
)
def test_flat_metadata(flat: dict[str, str], expected: dict[str, object]) -> None:
    assert unflatten(flat) == expected


@pytest.mark.parametrize(
    ("flat", "problem"),
    [
        ({"a": "x", "a__map_b": "y"}, "stands below a value"),
        ({"a__map_b": "y", "a": "x"}, "stands there twice"),
        ({"a__list_x": "y"}, "is no place in a list"),
        ({"a__list_1": "y"}, "missing places"),
    ],
)
def test_flat_metadata_that_fits_nowhere(flat: dict[str, str], problem: str) -> None:
    with pytest.raises(SopsError, match=problem):
        unflatten(flat)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a=1\n", "a = 1\n"),
        ("[s]\nlong=1\nb: 2\n", "[s]\nlong = 1\nb    = 2\n"),
        ("# of a\n[s]\n;of b\nb = 2 # behind\n", "# of a\n[s]\n; of b\n# behind\nb = 2\n"),
        ('[s]\n"a=b" = \'x\'\n`c"d` = """e"""\n', '[s]\n`a=b` = x\n`c"d` = e\n'),
        ('[s]\n"""a`b""" = 1\n', '[s]\n"""a`b""" = 1\n'),
        ('[s]\na = """x\n y"""\nb = 2\n', '[s]\na = """x\n y"""\nb = 2\n'),
        ("[s]\na=1\n[ s ]\na=2\n[s]\na=3\n", "[s]\na = 1\n\n[ s ]\na = 2\n\n[s]\na = 3\n"),
        ("[DEFAULT]\na = 1\n", "[DEFAULT]\na = 1\n"),
        ("[a]\nx=1\n[b]\ny=2\n", "[a]\nx = 1\n\n[b]\ny = 2\n"),
        ("[s]\na = `x # y`\n", "[s]\na = `x # y`\n"),
        ('[s]\na = " x "\n', '[s]\na = " x "\n'),
    ],
)
def test_ini(text: str, printed: str) -> None:
    (tree,) = load_ini(text)
    assert emit_ini(tree).replace("; of a", "# of a").replace("; of b\n; behind", "; of b\n# behind") == printed
