"""The credentials for key services in a decryption Secret, under the keys that Flux gives them.

``sops.aws-kms``, ``sops.gcp-kms``, ``sops.azure-kv``, ``sops.vault-token``; spec: Flux's
docs/spec/v1/kustomizations.md, "Decryption". Who may write such a Secret is not the operator: what would make the
plane read a file, run a program, or send a secret to another host than the cloud's own is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.kustomize.yaml_in import MalformedYaml, load_config
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import AwsKmsKey, AzureKey, GcpKmsKey, ServiceKey

AWS, GCP, AZURE, VAULT = "sops.aws-kms", "sops.gcp-kms", "sops.azure-kv", "sops.vault-token"
GOOGLE_TOKEN_URLS = ("https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token")
"""What keys of service accounts name as their token server; the second is an old name of the first."""

MOST_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleAccount:
    """A service account's key: ``private_key`` is PEM."""

    email: str
    key_id: str
    private_key: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"service account {self.email} of {GCP}"


@dataclass(frozen=True, kw_only=True, slots=True)
class AzurePrincipal:
    """A service principal with a client secret or a certificate (PEM with its key; ``password``: of the key).

    ``authority``: host of Microsoft Entra ID, "" for that of the vault's cloud.
    """

    tenant: str
    client: str
    secret: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    authority: str = ""

    def __str__(self) -> str:
        """For people."""
        return f"service principal {self.client} of {AZURE}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedIdentity:
    """A managed identity of the plane's own machine: its own identity under another name."""

    client: str

    def __str__(self) -> str:
        """For people."""
        return f"managed identity {self.client} of {AZURE}"


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultToken:
    """A token of Vault or OpenBao."""

    token: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"the token in {VAULT}"


Credential = AwsKeys | GoogleAccount | AzurePrincipal | ManagedIdentity | VaultToken


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Those that a Secret has; None where it has none for that service."""

    aws: AwsKeys | None = None
    gcp: GoogleAccount | None = None
    azure: AzurePrincipal | ManagedIdentity | None = None
    vault: VaultToken | None = None

    def of(self, key: ServiceKey) -> Credential | None:
        """What is shown to a key's service."""
        if isinstance(key, AwsKmsKey):
            return self.aws
        if isinstance(key, GcpKmsKey):
            return self.gcp
        return self.azure if isinstance(key, AzureKey) else self.vault


def credentials(secret: Mapping[str, bytes]) -> Credentials:
    """The credentials in a Secret's data. Raises SopsError naming the entry and the field."""
    return Credentials(
        aws=_entry(secret, AWS, _aws),
        gcp=_entry(secret, GCP, _gcp),
        azure=_entry(secret, AZURE, _azure),
        vault=_vault(secret),
    )


def _entry(secret: Mapping[str, bytes], name: str, parse: Callable[[Mapping[str, str]], Any]) -> Any:
    if name not in secret:
        return None
    if len(secret[name]) > MOST_BYTES:
        raise SopsError(f"{name}: is larger than {MOST_BYTES} bytes")
    try:
        found = load_config(_utf8(secret[name]), name)
    except (MalformedYaml, UnicodeDecodeError):
        found = None
    if not isinstance(found, Mapping):
        raise SopsError(f"{name}: must be a YAML or JSON mapping")
    return parse({str(key): value if isinstance(value, str) else str(value) for key, value in found.items()})


def _utf8(data: bytes) -> bytes:
    """Azure's tools on Windows write UTF-16, with its mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16").encode()
    return data.removeprefix(b"\xef\xbb\xbf")


def _aws(found: Mapping[str, str]) -> AwsKeys:
    for name in ("aws_access_key_id", "aws_secret_access_key"):
        if not found.get(name):
            raise SopsError(f"{AWS}: {name} is missing")
    return AwsKeys(
        access_key_id=found["aws_access_key_id"],
        secret_access_key=found["aws_secret_access_key"],
        session_token=found.get("aws_session_token", ""),
    )


def _gcp(found: Mapping[str, str]) -> GoogleAccount:
    if found.get("type") != "service_account":
        raise SopsError(f"{GCP}: type is {found.get('type', '')[:80]!r}, must be service_account")
    if found.get("token_uri", GOOGLE_TOKEN_URLS[0]) not in GOOGLE_TOKEN_URLS:
        raise SopsError(f"{GCP}: token_uri must be {GOOGLE_TOKEN_URLS[0]}")
    for name in ("client_email", "private_key"):
        if not found.get(name):
            raise SopsError(f"{GCP}: {name} is missing")
    return GoogleAccount(
        email=found["client_email"], key_id=found.get("private_key_id", ""), private_key=found["private_key"]
    )


def _azure(found: Mapping[str, str]) -> AzurePrincipal | ManagedIdentity:
    def get(name: str) -> str:
        return found.get(name, "")

    authority = get("authorityHost").removeprefix("https://").rstrip("/")
    tenant, client = get("tenantId"), get("clientId")
    if tenant and client and (get("clientSecret") or get("clientCertificate")):
        return AzurePrincipal(
            tenant=tenant,
            client=client,
            secret=get("clientSecret"),
            certificate="" if get("clientSecret") else get("clientCertificate"),
            password=get("clientCertificatePassword"),
            authority=authority,
        )
    if get("tenant") and get("appId") and get("password"):
        return AzurePrincipal(tenant=get("tenant"), client=get("appId"), secret=get("password"), authority=authority)
    if client:
        return ManagedIdentity(client=client)
    raise SopsError(
        f"{AZURE}: needs tenantId, clientId and clientSecret or clientCertificate; or tenant, appId and password; "
        "or clientId alone (a managed identity)"
    )


def _vault(secret: Mapping[str, bytes]) -> VaultToken | None:
    if VAULT not in secret:
        return None
    token = secret[VAULT].decode("utf-8", "replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise SopsError(f"{VAULT}: holds no token")
    return VaultToken(token=token)
