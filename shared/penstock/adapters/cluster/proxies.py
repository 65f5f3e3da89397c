"""Which proxy a server is reached through: HTTPS_PROXY and NO_PROXY, read as client-go reads them.

https://pkg.go.dev/golang.org/x/net/http/httpproxy: lower case wins; loopback is never proxied; NO_PROXY lists
host names (with their subdomains), IP addresses, networks, each with an optional port, or ``*``.
"""

import ipaddress
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit


def proxy_from(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Server URL -> proxy URL or "". Only https servers have one; a kubeconfig's own proxy-url comes first."""
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY") or ""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    rules = [rule for rule in (each.strip().lower() for each in excepted.split(",")) if rule]

    def proxy_for(server: str) -> str:
        url = urlsplit(server)
        host = (url.hostname or "").lower()
        if not proxy or url.scheme != "https" or _is_loopback(host):
            return ""
        if any(_excepts(rule, host, url.port or 443) for rule in rules):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    return proxy_for


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _excepts(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    address = _address(host)
    if address is not None and _is_network(rule):
        return address in ipaddress.ip_network(rule, strict=False)
    name, colon, number = rule.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        rule = name.strip("[]")
    if address is not None:
        return rule == host
    rule = rule.removeprefix("*")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")


def _is_network(rule: str) -> bool:
    try:
        ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
    return True


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
