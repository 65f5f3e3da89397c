"""How to log in to a registry: Docker's config JSON, and what a registry's 401 asks for (distribution's token spec)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.core.errors import Terminal

CONFIG_KEY = ".dockerconfigjson"
_DENIED = "AuthenticationFailed"
_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.docker.io")
_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """``basic``: base64 of ``user:password``, or ""; ``identity_token``: an OAuth2 refresh token, or ""."""

    basic: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """A WWW-Authenticate header. ``scheme``: lower case; ``parameters``: realm, service, scope."""

    scheme: str
    parameters: Mapping[str, str]


def login_for(secret: Mapping[str, bytes], registry: str) -> Login:
    """The login that a Secret's ``.dockerconfigjson`` has for a registry (host[:port]); empty where it has none.

    Raises Terminal where it is no such file; no message shows what it holds.
    """
    if not secret:
        return Login()
    if CONFIG_KEY not in secret:
        raise Terminal(
            f"the Secret has no {CONFIG_KEY}: its type must be kubernetes.io/dockerconfigjson", reason=_DENIED
        )
    try:
        entries = json.loads(secret[CONFIG_KEY])["auths"]
        found = next((entries[key] for key in entries if _same(_host(key), registry.lower())), None)
        return Login() if found is None else _login(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise Terminal(f"the Secret's {CONFIG_KEY} is not Docker's config file", reason=_DENIED) from error


def challenge(header: str) -> Challenge:
    """A WWW-Authenticate header, as far as registries use it."""
    scheme, _, rest = header.strip().partition(" ")
    parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest[:4096])}
    return Challenge(scheme=scheme.lower(), parameters=parameters)


def _login(entry: Mapping[str, str]) -> Login:
    basic = str(entry.get("auth") or "")
    if basic:
        base64.b64decode(basic, validate=True)
    elif entry.get("username"):
        basic = base64.b64encode(f"{entry['username']}:{entry.get('password') or ''}".encode()).decode()
    return Login(basic=basic, identity_token=str(entry.get("identitytoken") or ""))


def _host(key: str) -> str:
    """Keys are hosts, or URLs such as ``https://index.docker.io/v1/``."""
    return key.partition("://")[2].partition("/")[0].lower() if "://" in key else key.partition("/")[0].lower()


def _same(one: str, other: str) -> bool:
    return one == other or (one in _DOCKER_HUB and other in _DOCKER_HUB)
