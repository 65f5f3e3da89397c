"""Azure Key Vault: decrypt, and access tokens for a service principal.

https://learn.microsoft.com/rest/api/keyvault/keys/decrypt and
https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

import json
import re
from dataclasses import dataclass

from penstock.core.http import HttpRequest
from penstock.core.identity import azure as entra
from penstock.core.secrets.credentials import AZURE, AzurePrincipal
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import AzureKey
from penstock.core.secrets.services.jwt import private_key, signed_jwt, unpadded
from penstock.core.secrets.services.texts import decoded, text_in

_VAULT = re.compile(r"https://([a-z][a-z0-9-]{1,60}[a-z0-9])\.([a-z0-9.-]+)/?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}", re.ASCII)
_VERSION = re.compile(r"[0-9a-f]{0,64}", re.ASCII)
_API = "7.4"
_SECONDS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultCloud:
    """``scope``: of tokens for vaults there."""

    cloud: entra.Cloud
    scope: str


DOMAINS = {
    "vault.azure.net": VaultCloud(cloud=entra.PUBLIC, scope="https://vault.azure.net/.default"),
    "managedhsm.azure.net": VaultCloud(cloud=entra.PUBLIC, scope="https://managedhsm.azure.net/.default"),
    "vault.azure.cn": VaultCloud(cloud=entra.CHINA, scope="https://vault.azure.cn/.default"),
    "vault.usgovcloudapi.net": VaultCloud(cloud=entra.GOVERNMENT, scope="https://vault.usgovcloudapi.net/.default"),
}
"""The domains of vaults: nobody but Azure has hosts there, so no other host ever gets a token."""


def cloud_of(key: AzureKey) -> VaultCloud:
    """The cloud of a key's vault. Raises SopsError where it is no vault of Azure."""
    return DOMAINS[_vault(key)[1]]


def decrypt(key: AzureKey, token: str) -> HttpRequest:
    """The request. Raises SopsError for a key that Azure cannot have."""
    name, domain = _vault(key)
    if not _NAME.fullmatch(key.name) or not _VERSION.fullmatch(key.version):
        raise SopsError("sops.azure_kv[]: name or version is none of a key of Azure Key Vault")
    path = f"/keys/{key.name}/{key.version}".rstrip("/")
    wrapped = decoded(_padded(key.enc))
    return HttpRequest(
        method="POST",
        path="",
        url=f"https://{name}.{domain}{path}/decrypt?api-version={_API}",
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
        body=json.dumps({"alg": "RSA-OAEP-256", "value": unpadded(wrapped)}).encode(),
    )


def plaintext(body: bytes) -> bytes:
    """The data key in an answer. Raises Transient where it is not what is documented."""
    return text_in(body, "value", url_safe=True)


def token_request(principal: AzurePrincipal, cloud: VaultCloud, now: float, nonce: str) -> HttpRequest:
    """An access token for a service principal; ``now``: POSIX seconds; ``nonce``: never used before.

    Raises SopsError where the principal cannot be one, or its authority is not Microsoft's.
    """
    authority = principal.authority or cloud.cloud.authority
    if authority not in AUTHORITIES:
        raise SopsError(f"{AZURE}: authorityHost must be one of {', '.join(AUTHORITIES)}")
    if not entra.is_tenant(principal.tenant):
        raise SopsError(f"{AZURE}: the tenant is no id or domain")
    at = entra.Cloud(authority=authority, manager=cloud.cloud.manager, scope=cloud.cloud.scope)
    application = entra.Application(tenant=principal.tenant, client=principal.client, cloud=at)
    if principal.secret:
        return entra.with_secret(application, cloud.scope, principal.secret)
    return entra.with_assertion(application, cloud.scope, _assertion(principal, authority, now, nonce))


AUTHORITIES = (
    "login.microsoftonline.com",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "login.microsoftonline.us",
)


def _assertion(principal: AzurePrincipal, authority: str, now: float, nonce: str) -> str:
    key = private_key(principal.certificate, principal.password, f"{AZURE}: clientCertificate")
    header = {"alg": "PS256", "typ": "JWT", "x5t#S256": unpadded(_thumbprint(principal.certificate))}
    claims = {
        "aud": f"https://{authority}/{principal.tenant}/oauth2/v2.0/token",
        "iss": principal.client,
        "sub": principal.client,
        "jti": nonce,
        "nbf": int(now),
        "exp": int(now) + _SECONDS,
    }
    return signed_jwt(header, claims, key)


def _thumbprint(pem: str) -> bytes:
    from cryptography import x509  # noqa: PLC0415 - only where a certificate is used
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above

    try:
        return x509.load_pem_x509_certificate(pem.encode()).fingerprint(SHA256())
    except ValueError:
        raise SopsError(f"{AZURE}: clientCertificate has no certificate in PEM") from None


def _vault(key: AzureKey) -> tuple[str, str]:
    """Name and domain."""
    found = _VAULT.fullmatch(key.vault_url)
    if found is None or found[2].lower() not in DOMAINS:
        raise SopsError(f"sops.azure_kv[].vault_url: must be https://NAME.DOMAIN with one of {', '.join(DOMAINS)}")
    return found[1].lower(), found[2].lower()


def _padded(enc: str) -> str:
    """Base64url without padding, as plain base64."""
    return enc.replace("-", "+").replace("_", "/") + "=" * (-len(enc) % 4)
