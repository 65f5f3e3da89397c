"""Logins at the clouds' container registries, for whoever has an identity there.

Amazon ECR (GetAuthorizationToken of ECR and ECR Public), Azure Container Registry (POST /oauth2/exchange of
https://aka.ms/acr/auth/oauth), Google Artifact Registry (an access token as password). A token goes to hosts of its own
cloud only: what a manifest names as a registry decides nothing else.
"""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from penstock.core.errors import InvalidDocument
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import json_of, malformed
from penstock.core.identity.sigv4 import AwsKeys, Scope, signed
from penstock.core.sources.registry_auth import Login

PUBLIC_ECR, PUBLIC_ECR_REGION = "public.ecr.aws", "us-east-1"
_ECR = re.compile(
    r"[0-9]{12}\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(?P<domain>amazonaws\.com(?:\.cn)?|amazonaws\.eu|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov|on\.aws)"
)
_ACR = re.compile(r"[a-z0-9][a-z0-9.-]*\.azurecr\.(?:io|cn|us)")
_GCP = re.compile(r"(?:[a-z0-9.-]+\.)?gcr\.io|[a-z0-9-]+-docker\.pkg\.dev")
_JSON = "application/x-amz-json-1.1"
_ACR_USER = "00000000-0000-0000-0000-000000000000"
_LONGEST_SECONDS = 3 * 3600.0
"""Of a login at ACR, which does not say how long it lasts: its refresh tokens do so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EcrRegistry:
    """``host``: of the API that gives logins."""

    region: str
    host: str
    public: bool = False


def ecr_registry(registry: str) -> EcrRegistry:
    """The ECR that a registry's host stands for. Raises InvalidDocument, as all of these, where it is none."""
    if registry == PUBLIC_ECR:
        return EcrRegistry(
            region=PUBLIC_ECR_REGION, host=f"api.ecr-public.{PUBLIC_ECR_REGION}.amazonaws.com", public=True
        )
    found = _ECR.fullmatch(registry)
    if found is None:
        raise _wrong(registry, "aws", "ACCOUNT.dkr.ecr.REGION.amazonaws.com or public.ecr.aws")
    domain = "amazonaws.com" if found["domain"] == "on.aws" else found["domain"]
    prefix = "ecr-fips" if found["fips"] else "api.ecr"
    return EcrRegistry(region=found["region"], host=f"{prefix}.{found['region']}.{domain}")


def ask_ecr(registry: EcrRegistry, keys: AwsKeys, moment: datetime) -> HttpRequest:
    """GetAuthorizationToken, signed. ``moment``: UTC."""
    target = "SpencerFrontendService" if registry.public else "AmazonEC2ContainerRegistry_V20150921"
    request = HttpRequest(
        method="POST",
        path="/",
        url=f"https://{registry.host}/",
        headers={"content-type": _JSON, "x-amz-target": f"{target}.GetAuthorizationToken"},
        body=b"{}",
    )
    service = "ecr-public" if registry.public else "ecr"
    return signed(request, keys, Scope(region=registry.region, service=service, moment=moment))


def ecr_login(answer: HttpResponse, registry: EcrRegistry) -> tuple[Login, float]:
    """The login, and the POSIX time at which it ends."""
    what = f"AWS GetAuthorizationToken at {registry.host}"
    found: Any = json_of(answer, what).get("authorizationData")
    try:
        data = found if registry.public else found[0]
        token, expires = str(data["authorizationToken"]), float(data["expiresAt"])
        usable = b":" in b64decode(token, validate=True)
    except (KeyError, IndexError, TypeError, ValueError, Error):
        raise malformed(what) from None
    if not usable:
        raise malformed(what)
    return Login(basic=token), expires


def acr_scope(registry: str) -> str:
    """The scope of the Entra ID token that ACR exchanges."""
    if not _ACR.fullmatch(registry):
        raise _wrong(registry, "azure", "NAME.azurecr.io")
    return "https://containerregistry.azure.net/.default"


def ask_acr(registry: str, token: str, tenant: str = "") -> HttpRequest:
    """The exchange of an Entra ID token for one of the registry."""
    acr_scope(registry)
    form = {"grant_type": "access_token", "service": registry, "access_token": token, "tenant": tenant}
    return HttpRequest(
        method="POST",
        path="/oauth2/exchange",
        url=f"https://{registry}/oauth2/exchange",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode({name: value for name, value in form.items() if value}).encode(),
    )


def acr_login(answer: HttpResponse, registry: str, now: float) -> tuple[Login, float]:
    """The login, and the POSIX time at which it ends."""
    what = f"Azure /oauth2/exchange at {registry}"
    token = json_of(answer, what).get("refresh_token")
    if not isinstance(token, str) or not token:
        raise malformed(what)
    return _basic(_ACR_USER, token), _end_of(token, now)


def check_gcp(registry: str) -> None:
    """Raises InvalidDocument where a registry is not Google's."""
    if not _GCP.fullmatch(registry):
        raise _wrong(registry, "gcp", "LOCATION-docker.pkg.dev or gcr.io")


def gcp_login(token: str) -> Login:
    """The login with an access token."""
    return _basic("oauth2accesstoken", token)


def _basic(user: str, password: str) -> Login:
    return Login(basic=b64encode(f"{user}:{password}".encode()).decode())


def _end_of(token: str, now: float) -> float:
    """The end that a JSON Web Token says for itself (nothing is trusted by it), at most three hours from now."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        said = float(json.loads(b64decode(part + "=" * (-len(part) % 4), altchars=b"-_"))["exp"])
    except (ValueError, KeyError, TypeError, Error):
        return now + _LONGEST_SECONDS / 2
    return min(said, now + _LONGEST_SECONDS)


def _wrong(registry: str, provider: str, shape: str) -> InvalidDocument:
    return InvalidDocument(f"is at {registry}, which is no registry of provider {provider}: {shape}", path="spec.url")
