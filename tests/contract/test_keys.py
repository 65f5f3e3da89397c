"""The contract of the keys port: in memory, and on key services (moto for AWS; a loopback server for the others)."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.clouds.keyserver import AZURE_TOKEN, GOOGLE_TOKEN, VAULT_TOKEN, KeyServer, key_server

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.identity.http import HttpSender
from penstock.adapters.identity.memory import MemoryIdentities
from penstock.adapters.keys.memory import MemoryKeys
from penstock.adapters.keys.services import KeyServices
from penstock.adapters.keys.vault_settings import VaultSettings
from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.secrets.credentials import AzurePrincipal, GoogleAccount, VaultToken
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import AwsKmsKey, AzureKey, GcpKmsKey, ServiceKey, VaultKey
from penstock.ports.identity import Account
from penstock.ports.keys import KeyRequest, Keys

DATA_KEY = b"canary-data-key-of-32-bytes-long"
REGION = "eu-central-1"
PEM = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
GOOGLE = GoogleAccount(email="sops@acme.iam.gserviceaccount.com", key_id="k1", private_key=PEM.decode())
AZURE = AzurePrincipal(tenant="acme.example", client="11111111-2222", secret="canary-client-secret")
AWS = AwsKeys(access_key_id="AKIDEXAMPLE", secret_access_key="canary-secret-access-key")
VAULT = VaultToken(token=VAULT_TOKEN)
SECRETS = ("canary", GOOGLE_TOKEN, AZURE_TOKEN, VAULT_TOKEN, "PRIVATE KEY")


@dataclass
class Subject:
    """``wrap``: a data key to a key that wraps it; ``other``: the same ``enc`` under another key of the service."""

    name: str
    keys: Keys
    who: Any
    wrap: Callable[[bytes], ServiceKey]
    other: Callable[[ServiceKey], ServiceKey]
    status: list[int] = field(default_factory=list)

    def unwrap(self, key: ServiceKey, who: Any = "given") -> bytes:
        return self.keys.unwrap(KeyRequest(key=key, who=self.who if who == "given" else who))


def refused(*_args: Any) -> HttpResponse:
    raise AssertionError("nobody is asked")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[KeyServer]:
    with key_server() as found:
        yield found


def memory() -> Subject:
    keys, status = MemoryKeys(), list[int]()
    errors = {403: Refused("told to (asked as me)"), 404: NotFound("told to")}
    keys.fail = lambda _request: errors.get(status[0], Transient("told to")) if status else None

    def wrap(data_key: bytes) -> ServiceKey:
        key = GcpKmsKey(resource="projects/a/locations/b/keyRings/c/cryptoKeys/d", enc="")
        other = replace(key, resource=f"{key.resource}2")
        keys.wrap(other, data_key)
        return replace(key, enc=keys.wrap(key, data_key))

    return Subject("memory", keys, GOOGLE, wrap, lambda key: replace(key, resource=f"{key.resource}2"), status)


def services(send: Callable[[HttpRequest], HttpResponse], status: list[int], settings: Any = None) -> KeyServices:
    def sent(request: HttpRequest) -> HttpResponse:
        kept = str(urlsplit(request.url).hostname).endswith(("oauth2.googleapis.com", "login.microsoftonline.com"))
        if status and not kept:
            codes = {403: "AccessDeniedException", 404: "NotFoundException"}
            body = {"__type": codes.get(status[0], "KMSInternalException"), "errors": [], "error": {"message": "x"}}
            return HttpResponse(
                status=400 if "KMS" in str(request.headers) else status[0], body=json.dumps(body).encode()
            )
        return send(request)

    return KeyServices(MemoryIdentities, sent, settings=settings)


def aws(moto: str) -> Subject:
    import boto3

    kms = boto3.client("kms", region_name=REGION, endpoint_url=moto, aws_access_key_id="x", aws_secret_access_key="x")
    sender, status = HttpSender(sleep=lambda _seconds: None), list[int]()

    def send(request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        assert parts.netloc in (f"kms.{REGION}.amazonaws.com", f"sts.{REGION}.amazonaws.com")
        if status:
            code = {403: "AccessDeniedException", 404: "NotFoundException", 503: "KMSInternalException"}
            name = code.get(status[0], "ThrottlingException")
            return HttpResponse(
                status=500 if status[0] == 503 else 400, body=json.dumps({"__type": name, "message": "x"}).encode()
            )
        headers = {**request.headers, "host": parts.netloc}
        return sender(replace(request, url=f"{moto}/", headers=headers))

    def wrap(data_key: bytes) -> ServiceKey:
        arn = kms.create_key()["KeyMetadata"]["Arn"]
        sealed = kms.encrypt(KeyId=arn, Plaintext=data_key, EncryptionContext={"app": "shop"})["CiphertextBlob"]
        return AwsKmsKey(arn=arn, context=(("app", "shop"),), enc=base64.b64encode(sealed).decode())

    return Subject("aws", KeyServices(MemoryIdentities, send), AWS, wrap, lambda key: replace(key, context=()), status)


def google(server: KeyServer) -> Subject:
    status = list[int]()

    def wrap(data_key: bytes) -> ServiceKey:
        name = "projects/acme/locations/global/keyRings/sops/cryptoKeys/main"
        return GcpKmsKey(resource=name, enc=base64.b64encode(server._wrap(data_key, name)).decode())

    keys = services(server.send, status)
    return Subject("google", keys, GOOGLE, wrap, lambda key: replace(key, resource=f"{key.resource}2"), status)


def azure(server: KeyServer) -> Subject:
    status = list[int]()

    def wrap(data_key: bytes) -> ServiceKey:
        from tests.clouds.keyserver import OAEP, VERSION

        sealed = base64.urlsafe_b64encode(server._rsa.public_key().encrypt(data_key, OAEP)).decode().rstrip("=")
        return AzureKey(vault_url="https://acme.vault.azure.net", name="sops", version=VERSION, enc=sealed)

    keys = services(server.send, status)
    damaged = base64.urlsafe_b64encode(b"x" * 256).decode().rstrip("=")
    return Subject("azure", keys, AZURE, wrap, lambda key: replace(key, enc=damaged), status)


def vault(server: KeyServer) -> Subject:
    status = list[int]()

    def wrap(data_key: bytes) -> ServiceKey:
        sealed = base64.b64encode(server._wrap(data_key, "sops/main")).decode()
        return VaultKey(address="https://vault.example.com:8200", engine="sops", name="main", enc=f"vault:v1:{sealed}")

    keys = services(server.send, status)
    return Subject("vault", keys, VAULT, wrap, lambda key: replace(key, name="other"), status)


@pytest.fixture(params=["memory", "aws", "google", "azure", "vault"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        return memory()
    if request.param == "aws":
        return aws(request.getfixturevalue("moto"))
    makers = {"google": google, "azure": azure, "vault": vault}
    return makers[request.param](request.getfixturevalue("server"))


def test_what_was_wrapped_is_unwrapped(subject: Subject) -> None:
    key = subject.wrap(DATA_KEY)
    assert subject.unwrap(key) == DATA_KEY
    assert subject.unwrap(key) == DATA_KEY, "and again, with a token that was kept"


def test_what_another_key_wrapped_is_refused_for_good(subject: Subject) -> None:
    with pytest.raises(Terminal) as caught:
        subject.unwrap(subject.other(subject.wrap(DATA_KEY)))
    assert caught.value.reason == "BuildFailed"


@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_service_is_asked_again_later(subject: Subject, status: int) -> None:
    key = subject.wrap(DATA_KEY)
    subject.status.append(status)
    with pytest.raises(Transient) as caught:
        subject.unwrap(key)
    assert caught.value.reason == "BuildFailed"
    subject.status.clear()
    assert subject.unwrap(key) == DATA_KEY


def test_no_right_is_refused_and_says_who_asked(subject: Subject) -> None:
    key = subject.wrap(DATA_KEY)
    subject.status.append(403)
    with pytest.raises(Refused, match="asked as") as caught:
        subject.unwrap(key)
    assert subject.name == "memory" or str(subject.who) in str(caught.value)


def test_no_such_key_is_not_found(subject: Subject) -> None:
    key = subject.wrap(DATA_KEY)
    subject.status.append(404)
    with pytest.raises(NotFound):
        subject.unwrap(key)


@pytest.mark.parametrize("status", [None, 403, 404, 503])
def test_no_error_and_no_repr_tells_a_secret(subject: Subject, status: int | None) -> None:
    key = subject.wrap(DATA_KEY)
    subject.status += [status] if status else []
    said = repr(KeyRequest(key=key, who=subject.who)) + repr(subject.keys)
    try:
        subject.unwrap(subject.other(key) if status is None else key)
    except PenstockError as error:
        said += f"{error!r}{error.__cause__!r}{error.__context__!r}"
    assert not any(word in said for word in SECRETS)
    assert key.enc not in said


# what only the adapters on services must do


def test_no_answer_is_transient() -> None:
    sender = HttpSender(sleep=lambda _seconds: None)
    keys = KeyServices(MemoryIdentities, lambda request: sender(replace(request, url="http://127.0.0.1:1/")))
    key = VaultKey(address="https://vault.example.com:8200", engine="sops", name="main", enc="vault:v1:AAAA")
    with pytest.raises(Transient, match="unreachable"):
        keys.unwrap(KeyRequest(key=key, who=VAULT))


HOSTILE: list[ServiceKey] = [
    AwsKmsKey(arn="arn:aws:kms:evil.example.com/#:123456789012:key/x", enc="AAAA"),
    AwsKmsKey(arn="arn:aws:kms:eu-central-1.evil:123456789012:key/x", enc="AAAA"),
    AwsKmsKey(arn="arn:aws-evil:kms:eu-central-1:123456789012:key/x", enc="AAAA"),
    AwsKmsKey(arn="arn:aws:kms:eu-central-1:123456789012:key/x", role="arn:aws:iam::1:role/x", enc="AAAA"),
    AwsKmsKey(arn="arn:aws:kms:eu-central-1:123456789012:key/x", enc="no base64"),
    AwsKmsKey(arn="arn:aws:kms:eu-central-1:123456789012:key/x", enc="A" * 20_000),
    GcpKmsKey(resource="projects/../locations/a/keyRings/b/cryptoKeys/c", enc="AAAA"),
    GcpKmsKey(resource="projects/a/locations/b/keyRings/c/cryptoKeys/d:setIamPolicy#", enc="AAAA"),
    GcpKmsKey(resource="projects/a/locations/b/keyRings/c/cryptoKeys/d/../../..", enc="AAAA"),
    AzureKey(vault_url="https://evil.example.com", name="k", enc="AAAA"),
    AzureKey(vault_url="http://acme.vault.azure.net", name="k", enc="AAAA"),
    AzureKey(vault_url="https://acme.vault.azure.net.evil.example.com", name="k", enc="AAAA"),
    AzureKey(vault_url="https://acme.vault.azure.net@evil.example.com", name="k", enc="AAAA"),
    AzureKey(vault_url="https://acme.vault.azure.net:8443", name="k", enc="AAAA"),
    AzureKey(vault_url="https://evil.example.com/.vault.azure.net", name="k", enc="AAAA"),
    AzureKey(vault_url="https://acme.vault.azure.net", name="../secrets/x", enc="AAAA"),
    AzureKey(vault_url="https://acme.vault.azure.net", name="k", version="../../x", enc="AAAA"),
    VaultKey(address="https://vault.example.com", engine="sys", name="../../sys/seal", enc="vault:v1:AAAA"),
    VaultKey(address="https://vault.example.com", engine="../v1/auth/token", name="create", enc="vault:v1:AAAA"),
    VaultKey(address="https://vault.example.com", engine="sops", name="a/b", enc="vault:v1:AAAA"),
    VaultKey(address="https://vault.example.com", engine="sops", name="a?x=", enc="vault:v1:AAAA"),
    VaultKey(address="https://vault.example.com", engine="", name="a", enc="vault:v1:AAAA"),
    VaultKey(address="https://vault.example.com", engine="sops", name="a", enc="x\r\ny"),
]


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: f"{type(key).__name__}-{key}"[:90])
def test_a_key_that_its_service_cannot_have_is_refused_before_anybody_is_asked(key: ServiceKey) -> None:
    class Nobody:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    who = {AwsKmsKey: AWS, GcpKmsKey: GOOGLE, AzureKey: AZURE, VaultKey: VAULT}[type(key)]
    with pytest.raises(SopsError):
        KeyServices(Nobody, refused).unwrap(KeyRequest(key=key, who=who))


@pytest.mark.parametrize(
    "principal",
    [
        replace(AZURE, authority="evil.example.com"),
        replace(AZURE, authority="login.microsoftonline.com/../evil"),
        replace(AZURE, tenant="../x"),
        replace(AZURE, secret="", certificate="no certificate"),
    ],
)
def test_a_principal_whose_secret_would_go_elsewhere_is_refused(principal: AzurePrincipal) -> None:
    key = AzureKey(vault_url="https://acme.vault.azure.net", name="k", enc="AAAA")
    with pytest.raises(SopsError):
        KeyServices(MemoryIdentities, refused).unwrap(KeyRequest(key=key, who=principal))


def test_an_assertion_for_google_is_signed_with_the_account_s_key(server: KeyServer) -> None:
    subject = google(server)
    subject.unwrap(subject.wrap(DATA_KEY))
    header, claims = _verified(server.jwt, PEM, "RS256")
    assert (header["kid"], claims["iss"], claims["aud"]) == ("k1", GOOGLE.email, "https://oauth2.googleapis.com/token")
    assert 0 < claims["exp"] - claims["iat"] <= 3600


def test_an_assertion_for_azure_is_signed_with_the_certificate_s_key(server: KeyServer) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    pem = _certificate()
    subject = azure(server)
    who = replace(AZURE, secret="", certificate=pem.decode())
    assert subject.unwrap(subject.wrap(DATA_KEY), who) == DATA_KEY
    header, claims = _verified(server.jwt, pem, "PS256")
    digest = base64.urlsafe_b64encode(x509.load_pem_x509_certificate(pem).fingerprint(SHA256())).decode().rstrip("=")
    assert header["x5t#S256"] == digest
    assert claims["aud"] == f"https://login.microsoftonline.com/{AZURE.tenant}/oauth2/v2.0/token"
    assert claims["iss"] == claims["sub"] == AZURE.client


def test_wrong_credentials_are_refused_with_what_the_service_says(server: KeyServer) -> None:
    subject = azure(server)
    with pytest.raises(Refused, match=r"invalid_client: AADSTS7000215: wrong \(401\) \(asked as service principal"):
        subject.unwrap(subject.wrap(DATA_KEY), replace(AZURE, secret="wrong"))


def test_a_role_that_the_file_names_is_assumed_first(moto: str) -> None:
    subject, asked = aws(moto), list[HttpRequest]()
    keys = subject.keys
    assert isinstance(keys, KeyServices)
    send = keys._send
    keys._send = lambda request: asked.append(request) or send(request)
    key = subject.wrap(DATA_KEY)
    assert isinstance(key, AwsKmsKey)
    assert subject.unwrap(replace(key, role="arn:aws:iam::123456789012:role/sops")) == DATA_KEY
    assume, decrypt = asked
    assert b"Action=AssumeRole&" in assume.body
    assert f"Credential={AWS.access_key_id}/" in assume.headers["authorization"]
    assert "Credential=ASIA" in decrypt.headers["authorization"]


@pytest.mark.parametrize("name", ["aws", "google", "azure", "vault"])
def test_the_plane_itself_and_service_accounts_are_asked_for_by_identity(
    name: str, moto: str, server: KeyServer
) -> None:
    """The identities here are in memory: what is looked at is whose are asked for, and where their tokens go."""
    home, sent = MemoryCluster(), list[HttpRequest]()
    home.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
    home.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": "decryptor",
                "namespace": "apps",
                "annotations": {
                    "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/sops",
                    "gcp.auth.fluxcd.io/workload-identity-provider": "projects/1/locations/global/workloadIdentityPools/p/providers/q",
                    "azure.workload.identity/client-id": "11111111-2222-4333-8444-555555555555",
                    "azure.workload.identity/tenant-id": "acme.example",
                },
            },
        }
    )
    identities = MemoryIdentities()

    def send(request: HttpRequest) -> HttpResponse:
        sent.append(request)
        return server.send(request)

    subject = {"google": google, "azure": azure, "vault": vault}[name](server) if name != "aws" else aws(moto)
    key = subject.wrap(DATA_KEY)
    keys = KeyServices(lambda: identities, send, settings=VaultSettings(token="plane-token", namespace="team"))
    account = Account(home=lambda: home, cluster="hub", namespace="apps", name="decryptor", audiences=("aud",))
    if name == "vault":
        assert keys.unwrap(KeyRequest(key=key, who=account, login_path="auth/kubernetes/login")) == DATA_KEY
        assert [urlsplit(request.url).path for request in sent] == [
            "/v1/auth/kubernetes/login",
            "/v1/sops/decrypt/main",
        ]
        with pytest.raises(Refused, match=r"policy\.sopsVaults gives this Vault no loginPath"):
            keys.unwrap(KeyRequest(key=key, who=account))
        with pytest.raises(Refused, match="asked as the plane's own identity"):
            keys.unwrap(KeyRequest(key=key, who=None))
        assert sent[-1].headers["x-vault-token"] == "plane-token"
        assert sent[-1].headers["x-vault-namespace"] == "team"
        return
    for who in (account, None):
        with pytest.raises(PenstockError):  # tokens of identities in memory open nothing
            keys.unwrap(KeyRequest(key=key, who=who))
    assert sum(identities.asked.values()) == 2


def test_without_a_token_of_its_own_the_plane_says_so(server: KeyServer) -> None:
    subject = vault(server)
    with pytest.raises(Refused, match="environment variable VAULT_TOKEN"):
        subject.unwrap(subject.wrap(DATA_KEY), None)


def test_credentials_of_another_service_are_never_sent(server: KeyServer) -> None:
    subject = vault(server)
    with pytest.raises(Terminal, match="is for another service"):
        subject.unwrap(subject.wrap(DATA_KEY), AZURE)


def _verified(jwt: str, pem: bytes, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.hashes import SHA256

    header, claims, signature = jwt.split(".")
    pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        f"{header}.{claims}".encode(),
        pss if algorithm == "PS256" else padding.PKCS1v15(),
        SHA256(),
    )
    one, two = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims))
    assert one["alg"] == algorithm
    return one, two


def _certificate() -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    key = serialization.load_pem_private_key(PEM, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sops")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    return PEM + builder.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM)
