"""Google Cloud: a ServiceAccount's token for an access token, its own or an impersonated service account's.

https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token and
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
"""

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import json_of, lifetime, malformed, token_of

SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
)
"""What GKE wants to see: without the second it knows a service account by its number only."""

STS = "https://sts.googleapis.com/v1/token"
IAM_CREDENTIALS = "https://iamcredentials.googleapis.com/v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Federation:
    """``audience``: of the exchange; ``token_audience``: of the ServiceAccount's token; ``email``: "" is nobody."""

    audience: str
    token_audience: str
    email: str = ""


def pool_federation(provider: str, email: str) -> Federation:
    """A workload identity pool's provider (``projects/1/locations/global/workloadIdentityPools/p/providers/x``)."""
    audience = f"//iam.googleapis.com/{provider}"
    return Federation(audience=audience, token_audience=audience, email=email)


def gke_federation(cluster: str, email: str) -> Federation:
    """A GKE cluster's own pool. ``cluster``: ``projects/P/locations/L/clusters/C``, P by its id."""
    pool = f"{cluster.split('/')[1]}.svc.id.goog"
    issuer = f"https://container.googleapis.com/v1/{cluster}"
    return Federation(audience=f"identitynamespace:{pool}:{issuer}", token_audience=pool, email=email)


def exchange(federation: Federation, token: str) -> HttpRequest:
    """The exchange at Google's STS (RFC 8693)."""
    scopes = SCOPES if not federation.email else SCOPES[:1]
    body = {
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": federation.audience,
        "scope": " ".join(scopes),
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        "subjectToken": token,
    }
    return _post(STS, body)


def exchanged(answer: HttpResponse, now: float) -> tuple[str, float]:
    """The federated access token, and the POSIX time at which it ends."""
    what = "Google sts.googleapis.com/v1/token"
    found = json_of(answer, what)
    return token_of(found.get("access_token"), what), now + lifetime(found.get("expires_in", 3600), what)


def impersonate(email: str, token: str) -> HttpRequest:
    """An access token of a Google service account, as who holds ``token``."""
    url = f"{IAM_CREDENTIALS}/projects/-/serviceAccounts/{quote(email, safe='@')}:generateAccessToken"
    return _post(url, {"scope": list(SCOPES), "lifetime": "3600s"}, authorization=f"Bearer {token}")


def impersonated(answer: HttpResponse, email: str) -> tuple[str, float]:
    """That token, and the POSIX time at which it ends."""
    what = f"Google generateAccessToken for {email}"
    found = json_of(answer, what)
    try:
        expires = datetime.fromisoformat(str(found["expireTime"])).timestamp()
    except (KeyError, ValueError, OverflowError):
        raise malformed(what) from None
    return token_of(found.get("accessToken"), what), expires


def _post(url: str, body: object, **headers: str) -> HttpRequest:
    return HttpRequest(
        method="POST",
        path="",
        url=url,
        headers={"content-type": "application/json", **headers},
        body=json.dumps(body).encode(),
    )
