"""Where a Provider's requests go; nothing of a Secret ever stands in an error or a repr."""

import pytest

from penstock.core.errors import Terminal
from penstock.core.flux.provider import Provider
from penstock.core.notify.target import target

CANARY = "c4nary"


def provider(**fields):
    base = {"name": "p", "namespace": "flux-system", "type": "generic", "address": "https://example.com/hook"}
    return Provider(**(base | fields))


def test_the_document_alone_is_enough():
    found = target(provider(channel="c", username="u"), {})
    assert (found.address, found.channel, found.username, found.token) == ("https://example.com/hook", "c", "u", b"")


def test_the_secret_wins():
    data = {
        "address": b" https://example.org/x?y=z \n",
        "token": b"t\n",
        "username": b"u2",
        "password": b"p",
        "headers": b"X-A: '1'\nHost: evil\nContent-Length: '0'\nAuthorization: Bearer x\n",
    }
    found = target(provider(username="u"), data)
    assert found.address == "https://example.org/x?y=z"
    assert (found.username, found.token, found.bearer) == ("u2", b"t\n", "t")
    assert found.headers == {"x-a": "1", "authorization": "Bearer x"}


def test_half_a_login_names_nobody():
    assert target(provider(username="u"), {"username": b"u2"}).username == "u"


def test_a_login_in_the_address_becomes_a_header():
    found = target(provider(address="https://us%20er:p%40ss@example.com:8443/x"), {})
    assert found.address == "https://example.com:8443/x"
    assert found.login == {"authorization": "Basic dXMgZXI6cEBzcw=="}


@pytest.mark.parametrize(
    ("fields", "data", "reason", "text"),
    [
        ({"type": "discord"}, {}, "UnsupportedType", "type discord"),
        ({"proxy": f"http://{CANARY}@x"}, {}, "UnsupportedField", "spec.proxy"),
        ({}, {"proxy": CANARY.encode()}, "UnsupportedField", "key proxy"),
        ({"address": ""}, {}, "InvalidConfig", "spec.address is empty"),
        ({}, {"address": b" "}, "InvalidConfig", "key address of the Provider's Secret is empty"),
        ({}, {"address": f"ftp://{CANARY}".encode()}, "InvalidConfig", "no http or https URL"),
        ({}, {"address": f"https:///{CANARY}".encode()}, "InvalidConfig", "no http or https URL"),
        ({}, {"address": f"https://[{CANARY}".encode()}, "InvalidConfig", "no http or https URL"),
        ({}, {"address": f"https://x:99999/{CANARY}".encode()}, "InvalidConfig", "no http or https URL"),
        ({}, {"address": f"https://x/{CANARY}\r\nX: y".encode()}, "InvalidConfig", "no http or https URL"),
        ({}, {"address": b"https://x/" + b"y" * 2048}, "InvalidConfig", "longer than 2048"),
        ({}, {"address": b"\xff" + CANARY.encode()}, "InvalidConfig", "no UTF-8 text"),
        ({}, {"headers": f"{CANARY}: [1]".encode()}, "InvalidConfig", "key headers"),
        ({}, {"headers": f"{{{CANARY}".encode()}, "InvalidConfig", "key headers"),
        ({}, {"headers": CANARY.encode() + b": " + b"[" * 5000}, "InvalidConfig", "key headers"),
        ({}, {"headers": CANARY.encode() + b": 2026-99-99"}, "InvalidConfig", "key headers"),
        ({}, {"headers": f'A: "{CANARY}\\r\\nB: c"'.encode()}, "InvalidConfig", "no HTTP header"),
        ({}, {"headers": f"'A {CANARY}': b".encode()}, "InvalidConfig", "no HTTP header"),
        ({}, {"token": f"{CANARY}\r\nX: y".encode()}, "InvalidConfig", "key token"),
    ],
)
def test_what_cannot_be_used_is_named_and_never_quoted(fields, data, reason, text):
    with pytest.raises(Terminal, match=text) as caught:
        target(provider(**fields), data)
    assert caught.value.reason == reason
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_target_shows_no_secret():
    data = {"address": f"https://x/{CANARY}".encode(), "token": CANARY.encode(), "headers": f"a: {CANARY}".encode()}
    assert CANARY not in repr(target(provider(), data))
