"""Credentials at Git hosts, for whoever has an identity there: AWS CodeCommit, Azure DevOps, a GitHub App.

CodeCommit takes a signature of the URL as password (15 minutes), Azure DevOps an Entra ID token, GitHub an
installation's token (https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app).
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

from penstock.core.errors import InvalidDocument, NotFound, Terminal
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import json_of, malformed, token_of
from penstock.core.identity.sigv4 import AwsKeys, Scope, signature_of

DEVOPS_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
CODECOMMIT_SECONDS = 900.0
APP_ID = "githubAppID"
_INSTALLATION, _OWNER, _KEY, _BASE = (
    "githubAppInstallationID", "githubAppInstallationOwner", "githubAppPrivateKey", "githubAppBaseURL",
)  # fmt: skip
_DENIED, _PROVIDER = "AuthenticationFailed", "InvalidProviderConfiguration"
_CODECOMMIT = re.compile(r"git-codecommit(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_DEVOPS = re.compile(r"dev\.azure\.com|[a-z0-9-]+\.visualstudio\.com")
_GITHUB = "https://api.github.com"
_JWT_SECONDS = 540


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """A GitHub App and one of its installations, by id or by who owns it. ``api``: URL of GitHub's API."""

    id: str
    api: str
    installation: str = ""
    owner: str = ""
    key: bytes = field(repr=False)


def codecommit_region(url: str) -> str:
    """The region of a CodeCommit URL. Raises InvalidDocument where it is none."""
    parts = urlsplit(url)
    found = _CODECOMMIT.fullmatch(parts.hostname or "")
    if found is None or parts.scheme != "https":
        raise _wrong("aws", "https://git-codecommit.REGION.amazonaws.com/v1/repos/NAME")
    return found[1]


def codecommit_login(url: str, keys: AwsKeys, moment: datetime) -> dict[str, bytes]:
    """Username and password for 15 minutes, as ``aws codecommit credential-helper`` makes them. ``moment``: UTC."""
    region, parts = codecommit_region(url), urlsplit(url)
    scope = Scope(region=region, service="codecommit", moment=moment)
    stamp = scope.stamp.removesuffix("Z")  # without it: as git's helper has it
    canonical = f"GIT\n{parts.path}\n\nhost:{parts.netloc}\n\nhost\n"
    signature = signature_of(canonical, keys, stamp, scope.credential)
    user = f"{keys.access_key_id}%{keys.session_token}" if keys.session_token else keys.access_key_id
    return {"username": user.encode(), "password": f"{scope.stamp}{signature}".encode()}


def check_devops(url: str) -> None:
    """Raises InvalidDocument where a URL is not Azure DevOps'."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not _DEVOPS.fullmatch(parts.hostname or ""):
        raise _wrong("azure", "https://dev.azure.com/ORGANIZATION/PROJECT/_git/NAME")


def github_app(secret: Mapping[str, bytes]) -> App:
    """The app in a Secret. Raises Terminal, saying which key is missing or too many."""
    texts = {
        name: secret.get(name, b"").decode("utf-8", "replace").strip()
        for name in (APP_ID, _INSTALLATION, _OWNER, _BASE)
    }
    if not texts[APP_ID] or not secret.get(_KEY):
        raise Terminal(
            "secretRef with github app data must be specified when provider is set to github", reason=_PROVIDER
        )
    if bool(texts[_INSTALLATION]) == bool(texts[_OWNER]):
        raise Terminal(f"the Secret needs either {_INSTALLATION} or {_OWNER}", reason=_PROVIDER)
    if not texts[APP_ID].isalnum() or not (texts[_INSTALLATION] or "1").isdigit():
        raise Terminal(f"the Secret's {APP_ID} or {_INSTALLATION} is no id", reason=_PROVIDER)
    return App(
        id=texts[APP_ID],
        api=_api(texts[_BASE]),
        installation=texts[_INSTALLATION],
        owner=texts[_OWNER],
        key=secret[_KEY],
    )


def ask_installations(app: App, now: float) -> tuple[HttpRequest, ...]:
    """Where the owner's installation may be: an organization's, else a person's. Nothing where its id is known."""
    if app.installation:
        return ()
    owner = quote(app.owner, safe="")
    return tuple(_request(app, "GET", f"{kind}/{owner}/installation", now) for kind in ("orgs", "users"))


def installation(answer: HttpResponse) -> str:
    """The installation's id; "" where there is none of that kind."""
    what = "GitHub's answer for the app's installation"
    try:
        found = json_of(answer, what).get("id")
    except NotFound:
        return ""
    if not isinstance(found, int):
        raise malformed(what)
    return str(found)


def ask_token(app: App, installed: str, now: float) -> HttpRequest:
    """A token of the installation."""
    return _request(app, "POST", f"app/installations/{installed}/access_tokens", now)


def app_login(answer: HttpResponse) -> tuple[dict[str, bytes], float]:
    """Username and password, and the POSIX time at which they end."""
    what = "GitHub's answer for a token of the app"
    found = json_of(answer, what)
    try:
        end = datetime.fromisoformat(str(found["expires_at"])).timestamp()
    except (KeyError, ValueError, OverflowError):
        raise malformed(what) from None
    return {"username": b"x-access-token", "password": token_of(found.get("token"), what).encode()}, end


def _request(app: App, method: str, path: str, now: float) -> HttpRequest:
    headers = {
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {_jwt(app, now)}",
        "x-github-api-version": "2022-11-28",
    }
    return HttpRequest(method=method, path="", url=f"{app.api}/{path}", headers=headers)


def _jwt(app: App, now: float) -> str:
    """A JSON Web Token (RS256) that the app signs: issued a minute ago, for clocks that differ."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only where an app is used
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_private_key(app.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Terminal(f"the Secret's {_KEY} is no RSA private key in PEM", reason=_DENIED)
    claims = {"iat": int(now) - 60, "exp": int(now) + _JWT_SECONDS, "iss": app.id}
    signed = ".".join(_encoded(json.dumps(each).encode()) for each in ({"alg": "RS256", "typ": "JWT"}, claims))
    return f"{signed}.{_encoded(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def _api(base: str) -> str:
    """GitHub's API: an Enterprise Server's is below its own host."""
    if not base:
        return _GITHUB
    parts = urlsplit(base)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
        raise Terminal(f"the Secret's {_BASE} must be an https URL", reason=_PROVIDER)
    url = base.rstrip("/")
    return url if parts.hostname == "api.github.com" or url.endswith("/api/v3") else f"{url}/api/v3"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _wrong(provider: str, shape: str) -> InvalidDocument:
    return InvalidDocument(f"is no URL for provider {provider}: {shape}", path="spec.url")


def not_installed(app: App) -> NotFound:
    """The error where an owner has no installation of an app."""
    return NotFound(f"GitHub App {app.id} is not installed at {app.owner}", reason=_DENIED)
