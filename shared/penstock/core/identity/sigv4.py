"""AWS Signature Version 4, in headers and in a query (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html)."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from penstock.core.http import HttpRequest

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsKeys:
    """An access key and, for temporary ones, its session token."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    def __str__(self) -> str:
        """For people: the id is no secret."""
        return f"access key {self.access_key_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What a signature is good for. ``moment``: UTC."""

    region: str
    service: str
    moment: datetime

    @property
    def stamp(self) -> str:
        """``20261127T000102Z``."""
        return self.moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")

    @property
    def credential(self) -> str:
        """``20261127/eu-central-1/sts/aws4_request``."""
        return f"{self.stamp[:8]}/{self.region}/{self.service}/aws4_request"


def signed(request: HttpRequest, keys: AwsKeys, scope: Scope) -> HttpRequest:
    """The request (its ``url`` is what counts) with the headers that sign it, its body included."""
    parts = urlsplit(request.url)
    headers = {**request.headers, "x-amz-date": scope.stamp}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    digest = hashlib.sha256(request.body).hexdigest()
    covered = {**headers, "host": parts.netloc}
    signature = _signature(_canonical(request.method, request.url, parts.query, covered, digest), keys, scope)
    authorization = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{scope.credential}, "
        f"SignedHeaders={_names(covered)}, Signature={signature}"
    )
    return HttpRequest(
        method=request.method,
        path=request.path,
        url=request.url,
        body=request.body,
        headers={**headers, "authorization": authorization},
    )


def presigned(url: str, keys: AwsKeys, scope: Scope, *, headers: Mapping[str, str], seconds: int) -> str:
    """A URL that whoever sends GET with these ``headers`` may use; ``url`` may have a query."""
    parts = urlsplit(url)
    covered = {**headers, "host": parts.netloc}
    query = [
        *(tuple(pair.partition("=")[::2]) for pair in parts.query.split("&") if pair),
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", _escaped(f"{keys.access_key_id}/{scope.credential}")),
        ("X-Amz-Date", scope.stamp),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", _escaped(_names(covered))),
    ]
    if keys.session_token:
        query.append(("X-Amz-Security-Token", _escaped(keys.session_token)))
    joined = "&".join(f"{name}={value}" for name, value in query)
    empty = hashlib.sha256(b"").hexdigest()
    signature = _signature(_canonical("GET", url, joined, covered, empty), keys, scope)
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}?{joined}&X-Amz-Signature={signature}"


def _canonical(method: str, url: str, query: str, headers: Mapping[str, str], digest: str) -> str:
    path = quote(urlsplit(url).path or "/", safe="/-_.~")
    pairs = sorted(tuple(pair.partition("=")[::2]) for pair in query.split("&") if pair)
    lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers)]
    return "\n".join((method, path, "&".join(f"{k}={v}" for k, v in pairs), "".join(lines), _names(headers), digest))


def _signature(canonical: str, keys: AwsKeys, scope: Scope) -> str:
    return signature_of(canonical, keys, scope.stamp, scope.credential)


def signature_of(canonical: str, keys: AwsKeys, stamp: str, credential: str) -> str:
    """Hex. ``canonical``: the request in canonical form; ``credential``: the scope, from its date on."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in credential.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"{_ALGORITHM}\n{stamp}\n{credential}\n{digest}"
    return hmac.digest(key, text.encode(), "sha256").hex()


def _names(headers: Iterable[str]) -> str:
    return ";".join(sorted(headers))


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")
