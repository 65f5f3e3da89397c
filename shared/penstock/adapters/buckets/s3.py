"""Buckets behind S3's API (ListObjectsV2, GetObject), signed by botocore, path-style, at whatever endpoint."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element, ParseError, fromstring

from penstock.adapters.buckets.http import BucketHttp, Sign, every_page
from penstock.adapters.identity.logins import SourceLogins
from penstock.core.errors import Refused, Terminal
from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import FAILED, RemoteBucket

_PAGE = 1000
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_DEFAULT_REGION = "us-east-1"


class S3Buckets:
    """Buckets over HTTP. A connection lasts for one call. ``logins``: for buckets with an identity or an STS."""

    def __init__(self, logins: SourceLogins | None = None) -> None:
        self._logins = logins

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """See Buckets. Follows the continuation tokens."""
        with closing(BucketHttp(bucket, _signer(bucket, self._keys(bucket)))) as http:

            def read(token: str) -> tuple[list[BucketObject], str]:
                query = {"list-type": "2", "max-keys": str(_PAGE), "prefix": prefix, "continuation-token": token}
                asked = urlencode({name: value for name, value in sorted(query.items()) if value}, quote_via=quote)
                return _page(http.listed(f"{_base(bucket)}?{asked}"), bucket)

            return every_page(bucket, most, read)

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """See Buckets."""
        with closing(BucketHttp(bucket, _signer(bucket, self._keys(bucket)))) as http:
            status, body, headers = http.get(f"{_base(bucket)}/{quote(key)}", most=most)
        return (body, headers.get("ETag", "").strip('"')) if status == 200 else None

    def _keys(self, bucket: RemoteBucket) -> AwsKeys | None:
        """None for a public bucket. Raises Terminal where the Secret holds no keys."""
        if bucket.credentials:
            access, secret = (_key(bucket.credentials, name) for name in ("accesskey", "secretkey"))
            return AwsKeys(access_key_id=access, secret_access_key=secret)
        if bucket.identity is None and bucket.sts is None:
            return None
        if self._logins is None:
            raise Refused(f"bucket '{bucket.name}': no identities are set up here", reason="AuthenticationFailed")
        if bucket.identity is not None:
            return self._logins.aws_keys(bucket.identity, bucket.region or _DEFAULT_REGION)
        return self._logins.ldap_keys(bucket)


def _base(bucket: RemoteBucket) -> str:
    endpoint = bucket.endpoint
    if endpoint.endswith("//s3.amazonaws.com") and bucket.region not in ("", _DEFAULT_REGION):
        endpoint = f"https://s3.{bucket.region}.amazonaws.com"
    return f"{endpoint}/{bucket.name}"


def _signer(bucket: RemoteBucket, keys: AwsKeys | None) -> Sign:
    """Nothing for a public bucket. Raises Terminal where botocore is not installed."""
    if keys is None:
        return lambda _url: {}
    try:
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - only where a bucket wants it
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - see above
        from botocore.credentials import Credentials  # noqa: PLC0415 - see above
    except ImportError as error:
        raise Terminal("Buckets with credentials need botocore: pip install 'penstock[aws]'", reason=FAILED) from error
    held = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    auth = S3SigV4Auth(held, "s3", bucket.region or _DEFAULT_REGION)

    def sign(url: str) -> dict[str, str]:
        request: Any = AWSRequest(method="GET", url=url)
        auth.add_auth(request)
        return dict(request.headers.items())

    return sign


def _key(credentials: Mapping[str, bytes], name: str) -> str:
    value = credentials.get(name, b"").decode("utf-8", "replace").strip()
    if not value or not value.isprintable():
        raise Terminal(f"the Secret has no usable '{name}'", reason="AuthenticationFailed")
    return value


def _page(body: bytes, bucket: RemoteBucket) -> tuple[list[BucketObject], str]:
    """One page's objects, and the token of the next one. Expat itself bounds the expansion of entities."""
    try:
        root = fromstring(body)  # noqa: S314 - see above; the size is bounded
        found = [
            BucketObject(key=_text(each, "Key"), etag=_text(each, "ETag").strip('"'), size=int(_text(each, "Size")))
            for each in root.iter()
            if each.tag.rpartition("}")[2] == "Contents"
        ]
        token = _text(root, "NextContinuationToken") if _text(root, "IsTruncated") == "true" else ""
    except (ParseError, ValueError) as error:
        raise Terminal(f"bucket '{bucket.name}': the service's list is not S3's", reason=FAILED) from error
    return found, token


def _text(element: Element, name: str) -> str:
    found = element.find(f"{_NAMESPACE}{name}")
    if found is None:
        found = element.find(name)
    return (found.text or "") if found is not None else ""
