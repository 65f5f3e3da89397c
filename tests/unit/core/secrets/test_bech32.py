"""Bech32: vectors of BIP 173, any bytes there and back, and no text in an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.secrets.bech32 import bech32_decode, bech32_encode


@given(data=st.binary(max_size=1500), prefix=st.text("abcdefghijklmnop-1", min_size=1, max_size=20))
def test_bytes_come_back(data: bytes, prefix: str) -> None:
    text = bech32_encode(prefix, data)
    assert bech32_decode(text) == (prefix, data)
    assert bech32_decode(text.upper()) == (prefix, data)


def test_a_vector_of_the_specification() -> None:
    prefix, data = bech32_decode("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw")
    assert (prefix, data.hex()) == ("abcdef", "00443214c74254b635cf84653a56d7c675be77df")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "a",
        "canary",
        "1qpzry9x8",
        "a1canarb",
        "A1g7sgd8",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxv",
        "a12uel5x",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"letter|checksum") as caught:
        bech32_decode(text)
    assert "canar" not in str(caught.value)
