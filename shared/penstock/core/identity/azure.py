"""Azure: its clouds, and token requests of Microsoft Entra ID and of managed identities.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
"""

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from penstock.core.errors import Terminal
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import json_of, lifetime, token_of

TOKEN_AUDIENCE = "api://AzureADTokenExchange"  # noqa: S105 - no password
AKS_SCOPE = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"
"""The application that stands for every AKS cluster's API server, in all clouds."""

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TENANT = r"[0-9a-zA-Z][0-9a-zA-Z.-]{0,252}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cloud:
    """``authority``: host of Entra ID; ``manager``: of the resource manager; ``scope``: of tokens for that."""

    authority: str
    manager: str
    scope: str


PUBLIC = Cloud(
    authority="login.microsoftonline.com", manager="management.azure.com", scope="https://management.azure.com/.default"
)
CHINA = Cloud(
    authority="login.chinacloudapi.cn",
    manager="management.chinacloudapi.cn",
    scope="https://management.core.chinacloudapi.cn/.default",
)
GOVERNMENT = Cloud(
    authority="login.microsoftonline.us",
    manager="management.usgovcloudapi.net",
    scope="https://management.core.usgovcloudapi.net/.default",
)
_BY_AUTHORITY = {c.authority: c for c in (PUBLIC, CHINA, GOVERNMENT)} | {"login.partner.microsoftonline.cn": CHINA}


def cloud_of(authority: str) -> Cloud:
    """The cloud that ``AZURE_AUTHORITY_HOST`` names ("" is the public one). Raises Terminal."""
    name = (urlsplit(authority).hostname if "//" in authority else authority.strip("/")) or ""
    if not name:
        return PUBLIC
    if name not in _BY_AUTHORITY:
        raise Terminal(
            f"environment variable AZURE_AUTHORITY_HOST is {authority!r}; known are {', '.join(_BY_AUTHORITY)}"
        )
    return _BY_AUTHORITY[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """An application or user-assigned identity of a tenant, in a cloud."""

    tenant: str
    client: str
    cloud: Cloud


def with_assertion(application: Application, scope: str, token: str) -> HttpRequest:
    """A token by a federated credential: ``token`` is a JWT that the application trusts."""
    return _token_request(application, scope, {"client_assertion_type": _ASSERTION, "client_assertion": token})


def with_secret(application: Application, scope: str, secret: str) -> HttpRequest:
    """A token by a client secret."""
    return _token_request(application, scope, {"client_secret": secret})


def managed(scope: str, client: str, *, endpoint: str = "", header: str = "") -> HttpRequest:
    """A token of a managed identity: from the platform's ``endpoint`` (IDENTITY_ENDPOINT), else from the machine's."""
    query = {"resource": scope.removesuffix("/.default")}
    if client:
        query["client_id"] = client
    if endpoint:
        url = f"{endpoint}?{urlencode({'api-version': '2019-08-01', **query})}"
        return HttpRequest(method="GET", path="", url=url, headers={"x-identity-header": header})
    query = {"api-version": "2018-02-01", **query}
    url = f"http://169.254.169.254/metadata/identity/oauth2/token?{urlencode(query)}"
    return HttpRequest(method="GET", path="", url=url, headers={"metadata": "true"})


def granted(answer: HttpResponse, what: str, now: float) -> tuple[str, float]:
    """The access token, and the POSIX time at which it ends."""
    found = json_of(answer, what)
    return token_of(found.get("access_token"), what), now + lifetime(found.get("expires_in"), what)


def is_tenant(text: str) -> bool:
    """Whether it may stand in a token endpoint's path: an id, or a domain."""
    return re.fullmatch(_TENANT, text) is not None


def _token_request(application: Application, scope: str, proof: dict[str, str]) -> HttpRequest:
    form = {"grant_type": "client_credentials", "client_id": application.client, "scope": scope, **proof}
    return HttpRequest(
        method="POST",
        path="",
        url=f"https://{application.cloud.authority}/{application.tenant}/oauth2/v2.0/token",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )
