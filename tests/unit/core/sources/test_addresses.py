import pytest

from penstock.core.sources.addresses import GuardedUrl, is_public, may_reach


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("140.82.121.4", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("2002:a00:1::", False),
    ],
)
def test_public_addresses(address, expected):
    assert is_public(address) is expected


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ((), False),
        (("git.corp",), True),
        (("GIT.corp",), True),
        (("git.corp:3000",), True),
        (("git.corp:80",), False),
        (("*.corp",), True),
        (("*.example",), False),
        (("10.0.0.0/8",), True),
        (("10.0.0.5",), True),
        (("192.168.0.0/16", "other"), False),
        (("fd00::/8",), False),
    ],
)
def test_the_operators_exceptions(allowed, expected):
    assert may_reach("git.corp.", 3000, "10.0.0.5", allowed) is expected
    assert may_reach("git.corp", 3000, "8.8.8.8", allowed)


def test_a_guarded_url_is_a_url():
    url = GuardedUrl("https://git.corp/r", ["git.corp"])
    assert (url, url.allowed_hosts) == ("https://git.corp/r", ("git.corp",))
