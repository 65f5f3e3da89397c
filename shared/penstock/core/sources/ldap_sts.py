"""Temporary keys of a MinIO for who is known to its directory (AssumeRoleWithLDAPIdentity)."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from penstock.core.errors import Terminal
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import error_of, malformed, xml_texts
from penstock.core.identity.sigv4 import AwsKeys


def ask(endpoint: str, credentials: Mapping[str, bytes]) -> HttpRequest:
    """The request. Raises Terminal where the Secret has no ``username`` and ``password``."""
    user, password = (
        credentials.get(name, b"").decode("utf-8", "replace").strip() for name in ("username", "password")
    )
    if not user or not password:
        raise Terminal("the Secret of spec.sts needs 'username' and 'password'", reason="AuthenticationFailed")
    form = {
        "Action": "AssumeRoleWithLDAPIdentity",
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
    what = "AssumeRoleWithLDAPIdentity"
    if answer.status != 200:
        raise error_of(answer, what)
    texts = xml_texts(answer.body)
    try:
        keys = AwsKeys(
            access_key_id=texts["AccessKeyId"],
            secret_access_key=texts["SecretAccessKey"],
            session_token=texts.get("SessionToken", ""),
        )
        return keys, datetime.fromisoformat(texts["Expiration"]).timestamp()
    except (KeyError, ValueError):
        raise malformed(what) from None
