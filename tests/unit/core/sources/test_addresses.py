import pytest

from penstock.core.sources.addresses import GuardedUrl, is_private_network, is_public, may_reach


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
        ("2002:a9fe:a9fe::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::127.0.0.1", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("192.0.0.192", False),
        ("240.0.0.1", False),
        ("64:ff9b::5db8:d70e", True),
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


@pytest.mark.parametrize(
    ("entry", "host", "port", "expected"),
    [
        ("alerts.internal", "ALERTS.internal.", 9093, True),
        ("alerts.internal", "evil-alerts.internal", 443, False),
        ("alerts.internal:9093", "alerts.internal", 443, False),
        ("*.internal", "a.b.internal", 443, True),
        ("*.internal", "internal", 443, False),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "[::1]", 8080, True),
        ("[::1]:8080", "::1", 8081, False),
        ("::1", "[::1]", 8081, True),
        ("fc00::/7", "alerts.internal", 443, False),
    ],
)
def test_an_exception_is_by_name_or_by_network(entry, host, port, expected):
    assert may_reach(host, port, "::1", [entry]) is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *((each, True) for each in ("10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd12::1")),
        *((each, True) for each in ("::ffff:10.0.0.1", "64:ff9b::a00:1")),
        *((each, False) for each in ("127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "fe80::1%eth0", "8.8.8.8")),
        *((each, False) for each in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16")),
        *((each, False) for each in ("192.0.0.192", "224.0.0.1", "::ffff:127.0.0.1", "2002:a00:1::")),
    ],
)
def test_private_networks_hold_no_machine_of_ours_and_no_metadata(address, expected):
    assert is_private_network(address) is expected


def test_a_guarded_url_is_a_url():
    url = GuardedUrl("https://git.corp/r", ["git.corp"])
    assert (url, url.allowed_hosts) == ("https://git.corp/r", ("git.corp",))
