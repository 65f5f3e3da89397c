"""Buckets of Google Cloud Storage (JSON API v1), with a service account's key from Flux's Secret."""

import hashlib
import json
import math
import time
from contextlib import closing
from datetime import UTC
from typing import Any
from urllib.parse import quote, urlencode

from penstock.adapters.buckets.http import MOST_LIST_BYTES, BucketHttp, Sign, every_page
from penstock.adapters.http.connection import pool_manager
from penstock.adapters.identity.kept import Kept
from penstock.adapters.identity.logins import KEPT_SECONDS, SourceLogins
from penstock.core.errors import Refused, Terminal, Transient
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import FAILED, RemoteBucket

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS = "nextPageToken,items(name,etag,size)"
_PAGE = 1000
_TOKENS = "https://oauth2.googleapis.com/token"
_DENIED = "AuthenticationFailed"


class GcsBuckets:
    """Buckets over HTTP. A connection lasts for one call. ``logins``: for buckets with an identity."""

    def __init__(self, logins: SourceLogins | None = None) -> None:
        self._logins, self._tokens = logins, Kept()

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """See Buckets. Follows the page tokens."""
        with closing(BucketHttp(bucket, self._signer(bucket))) as http:

            def read(token: str) -> tuple[list[BucketObject], str]:
                query = {"prefix": prefix, "pageToken": token, "maxResults": str(_PAGE), "fields": _FIELDS}
                asked = urlencode({name: value for name, value in query.items() if value})
                return _page(http.listed(f"{_base(bucket)}?{asked}"), bucket)

            return every_page(bucket, most, read)

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """See Buckets. The etag is asked for first: an upload in between shows as another etag at the next look."""
        with closing(BucketHttp(bucket, self._signer(bucket))) as http:
            url = f"{_base(bucket)}/{quote(key, safe='')}"
            status, body, _ = http.get(f"{url}?fields=name,etag,size", most=MOST_LIST_BYTES)
            if status != 200:
                return None
            etag = str(_json(body, bucket).get("etag", ""))
            status, data, _ = http.get(f"{url}?alt=media", most=most)
        return (data, etag) if status == 200 else None

    def _signer(self, bucket: RemoteBucket) -> Sign:
        """Nothing for a public bucket."""
        if bucket.credentials:
            key = bucket.credentials.get("serviceaccount", b"")
            token = self._tokens.get(hashlib.sha256(key).hexdigest(), lambda: _token_of(key))
        elif bucket.identity is None:
            return lambda _url: {}
        elif self._logins is None:
            raise Refused(f"bucket '{bucket.name}': no identities are set up here", reason=_DENIED)
        else:
            token = self._logins.token(bucket.identity, _SCOPE)
        return lambda _url: {"Authorization": f"Bearer {token}"}


def _base(bucket: RemoteBucket) -> str:
    return f"{bucket.endpoint}/storage/v1/b/{quote(bucket.name, safe='')}/o"


def _token_of(key: bytes) -> tuple[str, float]:
    """A token of a service account's key, and until when it is used (POSIX seconds).

    Raises Terminal where it is no key, or google-auth is not installed.
    """
    try:
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - only where a bucket wants it
        from google.auth.transport.urllib3 import Request  # noqa: PLC0415 - see above
        from google.oauth2.service_account import Credentials  # noqa: PLC0415 - see above
    except ImportError as error:
        raise Terminal(
            "Buckets of provider gcp need google-auth: pip install 'penstock[google]'", reason=FAILED
        ) from error
    try:
        info = json.loads(key)
        info["token_uri"] = _TOKENS
        credentials = Credentials.from_service_account_info(info, scopes=[_SCOPE])  # type: ignore[no-untyped-call]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Terminal("the Secret's 'serviceaccount' is no service account's key", reason=_DENIED) from error
    try:
        with pool_manager() as pool:
            credentials.refresh(Request(pool))  # type: ignore[no-untyped-call] # theirs
    except GoogleAuthError as error:
        if getattr(error, "retryable", False):
            raise Transient("Google's token service does not answer", reason=FAILED) from error
        raise Refused("Google does not accept the service account's key", reason=_DENIED) from error
    ends = credentials.expiry.replace(tzinfo=UTC).timestamp() if credentials.expiry else math.inf
    return str(credentials.token), min(ends, time.time() + KEPT_SECONDS)


def _page(body: bytes, bucket: RemoteBucket) -> tuple[list[BucketObject], str]:
    found = _json(body, bucket)
    try:
        items = [
            BucketObject(key=str(each["name"]), etag=str(each["etag"]), size=int(each["size"]))
            for each in found.get("items") or ()
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise Terminal(f"bucket '{bucket.name}': the service's list is not Google's", reason=FAILED) from error
    return items, str(found.get("nextPageToken") or "")


def _json(body: bytes, bucket: RemoteBucket) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Terminal(f"bucket '{bucket.name}': the service's answer is no JSON", reason=FAILED) from error
    if not isinstance(found, dict):
        raise Terminal(f"bucket '{bucket.name}': the service's answer is not Google's", reason=FAILED)
    return found
