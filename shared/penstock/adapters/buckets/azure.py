"""Buckets of Azure Blob Storage: by account key, shared access signature, an application's secret, or an identity."""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from penstock.adapters.buckets.http import BucketHttp, Sign, every_page
from penstock.adapters.identity.logins import SourceLogins
from penstock.core.errors import Refused, Terminal
from penstock.core.identity import azure
from penstock.core.sources import azure_blob
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import RemoteBucket

_PAGE = 1000
_DENIED = "AuthenticationFailed"


class AzureBuckets:
    """Buckets over HTTP. A connection lasts for one call. ``logins``: for tokens of Microsoft Entra ID."""

    def __init__(self, logins: SourceLogins | None = None) -> None:
        self._logins = logins

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """See Buckets. Follows the markers."""
        with closing(self._open(bucket)) as http:

            def read(marker: str) -> tuple[list[BucketObject], str]:
                query = {
                    "restype": "container",
                    "comp": "list",
                    "maxresults": str(_PAGE),
                    "prefix": prefix,
                    "marker": marker,
                }
                asked = urlencode({name: value for name, value in query.items() if value}, quote_via=quote)
                return azure_blob.page(http.listed(_url(bucket, "", asked)), bucket.name)

            return every_page(bucket, most, read)

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """See Buckets."""
        with closing(self._open(bucket)) as http:
            status, body, headers = http.get(_url(bucket, f"/{quote(key)}", ""), most=most)
        return (body, headers.get("ETag", "").strip('"').encode().hex()) if status == 200 else None

    def _open(self, bucket: RemoteBucket) -> BucketHttp:
        return BucketHttp(bucket, self._signer(bucket))

    def _signer(self, bucket: RemoteBucket) -> Sign:
        given = bucket.credentials
        if "accountKey" in given and not _text(given, "clientId"):  # an application comes first, as in Flux

            def sign(url: str) -> Mapping[str, str]:
                sent = azure_blob.headers(datetime.now(UTC))
                return {**sent, "Authorization": azure_blob.shared_key(url, sent, bucket.endpoint, given["accountKey"])}

            return sign
        token = self._token(bucket)
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return lambda _url: {**azure_blob.headers(datetime.now(UTC)), **bearer}

    def _token(self, bucket: RemoteBucket) -> str:
        """A token of Entra ID; "" for a public bucket, and one with a shared access signature."""
        given = bucket.credentials
        if _by_sas(bucket) or not (given or bucket.identity):
            return ""
        if self._logins is None:
            raise Refused(f"bucket '{bucket.name}': no identities are set up here", reason=_DENIED)
        if bucket.identity is not None:
            return self._logins.token(bucket.identity, azure_blob.SCOPE)
        tenant, client, secret = (_text(given, name) for name in ("tenantId", "clientId", "clientSecret"))
        if not (tenant and client and secret) or not azure.is_tenant(tenant):
            raise Terminal(
                "the Secret needs accountKey, sasKey, or tenantId with clientId and clientSecret (certificates and "
                "managed identities of a Secret are not served: use serviceAccountName)",
                reason=_DENIED,
            )
        cloud = azure.cloud_of(_text(given, "authorityHost"))
        application = azure.Application(tenant=tenant, client=client, cloud=cloud)
        return self._logins.application_token(application, azure_blob.SCOPE, secret)


def _url(bucket: RemoteBucket, path: str, query: str) -> str:
    signature = azure_blob.sas_query(bucket.credentials["sasKey"]) if _by_sas(bucket) else ""
    asked = "&".join(part for part in (query, signature) if part)
    return f"{bucket.endpoint}/{quote(bucket.name)}{path}" + (f"?{asked}" if asked else "")


def _by_sas(bucket: RemoteBucket) -> bool:
    """Precedence as in Flux: an application, the account's key, a signature."""
    given = bucket.credentials
    return "sasKey" in given and "accountKey" not in given and not _text(given, "clientId")


def _text(given: Mapping[str, bytes], name: str) -> str:
    return given.get(name, b"").decode("utf-8", "replace").strip()
