"""HTTPS_PROXY and NO_PROXY, as client-go reads them."""

import pytest

from penstock.adapters.cluster.proxies import proxy_from

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("no_proxy", "server", "proxied"),
    [
        ("", "https://api.example:6443", True),
        ("", "http://api.example", False),
        ("", "https://localhost:6443", False),
        ("", "https://127.0.0.5", False),
        ("", "https://[::1]:6443", False),
        ("*", "https://api.example", False),
        ("api.example", "https://api.example", False),
        ("example", "https://api.example", False),
        ("pi.example", "https://api.example", True),
        (".example", "https://api.example", False),
        ("*.example", "https://api.example", False),
        ("other.example, API.example", "https://api.example", False),
        ("api.example:443", "https://api.example", False),
        ("api.example:443", "https://api.example:6443", True),
        ("10.0.0.0/8", "https://10.1.2.3:6443", False),
        ("10.0.0.0/8", "https://11.1.2.3:6443", True),
        ("10.1.2.3", "https://10.1.2.3", False),
        ("10.1.2.3:6443", "https://10.1.2.3:6443", False),
        ("fd00::/8", "https://[fd00::1]", False),
    ],
)
def test_who_is_proxied(no_proxy: str, server: str, proxied: bool) -> None:
    assert proxy_from({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})(server) == (PROXY if proxied else "")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        ({"HTTP_PROXY": PROXY}, ""),
        ({"https_proxy": "proxy.example:1"}, "http://proxy.example:1"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://another.example"}, PROXY),
    ],
)
def test_where_the_proxy_is_named(environ: dict, expected: str) -> None:
    assert proxy_from(environ)("https://api.example") == expected
