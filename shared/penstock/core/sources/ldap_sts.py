"""Temporary keys of a MinIO for who is known to its directory (AssumeRoleWithLDAPIdentity)."""

from collections.abc import Mapping
from urllib.parse import urlencode

from penstock.core.errors import Terminal
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.aws import temporary_keys
from penstock.core.identity.sigv4 import AwsKeys

_ACTION = "AssumeRoleWithLDAPIdentity"


def ask(endpoint: str, credentials: Mapping[str, bytes]) -> HttpRequest:
    """The request. Raises Terminal where the Secret has no ``username`` and ``password``."""
    user, password = (
        credentials.get(name, b"").decode("utf-8", "replace").strip() for name in ("username", "password")
    )
    if not user or not password:
        raise Terminal("the Secret of spec.sts needs 'username' and 'password'", reason="AuthenticationFailed")
    form = {
        "Action": _ACTION,
        "Version": "2011-06-15",
        "LDAPUsername": user,
        "LDAPPassword": password,
    }
    return HttpRequest(
        method="POST",
        path="",
        url=endpoint,
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )


def given(answer: HttpResponse) -> tuple[AwsKeys, float]:
    """The keys, and the POSIX time at which they end."""
    return temporary_keys(answer, _ACTION, without_token=True)
