"""Azure Blob Storage: requests as its REST API takes them, and the pages of its lists.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key and …/list-blobs.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

from penstock.core.errors import Terminal
from penstock.core.sources.bucket import BucketObject

SCOPE = "https://storage.azure.com/.default"
VERSION = "2021-12-02"
_FAILED, _DENIED = "BucketOperationFailed", "AuthenticationFailed"
_EMPTY_HEADERS = "\n" * 11
"""Content-Encoding to Range: a GET has none of them."""


def headers(moment: datetime) -> dict[str, str]:
    """What every request carries. ``moment``: UTC."""
    return {"x-ms-date": moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": VERSION}


def account_of(endpoint: str) -> str:
    """The storage account in an endpoint: the host's first label; on emulators, which have an address, the path's."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    return parts.path.strip("/").partition("/")[0] if _is_address(host) else host.partition(".")[0]


def shared_key(url: str, sent: Mapping[str, str], endpoint: str, key: bytes) -> str:
    """The Authorization header of a GET. ``key``: the account's, in base64. Raises Terminal where it is none."""
    try:
        secret = base64.b64decode(key.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Terminal("the Secret's accountKey is no base64", reason=_DENIED) from error
    account, parts = account_of(endpoint), urlsplit(url)
    named = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent) if name.startswith("x-ms-"))
    query = "".join(
        f"\n{name.lower()}:{value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    text = f"GET\n{_EMPTY_HEADERS}{named}/{account}{parts.path}{query}"
    signature = base64.b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode()
    return f"SharedKey {account}:{signature}"


def page(body: bytes, bucket: str) -> tuple[list[BucketObject], str]:
    """One page's blobs, and the marker of the next one. Expat itself bounds the expansion of entities.

    The etag is hex, as Flux has it in a list. Raises Terminal.
    """
    try:
        root = fromstring(body)  # noqa: S314 - see above; the size is bounded
        found = [
            BucketObject(
                key=_text(each, "Name"),
                etag=_text(each, "Properties/Etag").strip('"').encode().hex(),
                size=int(_text(each, "Properties/Content-Length")),
            )
            for each in root.iterfind("Blobs/Blob")
        ]
    except (ParseError, ValueError) as error:
        raise Terminal(f"bucket '{bucket}': the service's list is not Azure's", reason=_FAILED) from error
    return found, _text(root, "NextMarker")


def sas_query(token: bytes) -> str:
    """A shared access signature as a query. Raises Terminal where it is none."""
    text = token.decode("utf-8", "replace").strip().removeprefix("?")
    if not text.isprintable() or " " in text or "sig=" not in text:
        raise Terminal("the Secret's sasKey is no shared access signature", reason=_DENIED)
    return text


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return (found.text or "") if found is not None else ""


def _is_address(host: str) -> bool:
    try:
        ip_address(unquote(host))
    except ValueError:
        return host == "localhost"
    return True
