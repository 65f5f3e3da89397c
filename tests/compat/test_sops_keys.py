"""Files that the real `sops` encrypts with every kind of master key are decrypted here, and the other way round fails.

AWS KMS is moto; Google Cloud KMS, Azure Key Vault and Vault are the loopback server of tests/clouds/keyserver.py, which
the real `sops` talks to as it would to the services: by environment variables, and through a proxy where its client
wants the cloud's own host name and TLS.
"""

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyrage
import pytest
from tests.clouds.keyserver import GOOGLE_TOKEN, TENANT, VAULT_TOKEN, VERSION, KeyServer, key_server
from tests.controlplane.build import tool

from penstock.adapters.identity.http import HttpSender
from penstock.adapters.identity.memory import MemoryIdentities
from penstock.adapters.keys.services import KeyServices
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.secrets.credentials import Credentials, credentials
from penstock.core.secrets.errors import MacMismatch, NoKey
from penstock.core.secrets.formats import Format
from penstock.core.secrets.key_ring import KeyRing, key_ring
from penstock.core.secrets.master_keys import ServiceKey
from penstock.core.secrets.sops import decrypt_file, verify_file
from penstock.ports.keys import KeyRequest

SOPS = tool("sops")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(SOPS is None, reason="no sops binary: `make tools` builds it"),
]
IDENTITY = pyrage.x25519.Identity.generate()
AGE = {"a.agekey": str(IDENTITY).encode()}
REGION = "eu-central-1"
PLAIN = {
    Format.YAML: b"apiVersion: v1\nkind: Secret\nmetadata:\n    name: x\nstringData:\n    token: canary\n    num: 5\n",
    Format.JSON: b'{\n\t"token": "canary",\n\t"nested": {\n\t\t"list": [\n\t\t\t1,\n\t\t\ttrue\n\t\t]\n\t}\n}\n',
    Format.DOTENV: b"TOKEN=canary\nMULTI=a=b\n",
    Format.INI: b"[main]\ntoken = canary\n",
    Format.BINARY: b"\x00canary\xff\n",
}


@dataclass
class Service:
    """``before``, ``words``: flags of `sops` and `sops encrypt`; ``secret``: the decryption Secret; ``send``: how ours gets there."""

    words: tuple[str, ...]
    before: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    secret: dict[str, bytes] = field(default_factory=dict)
    send: Any = None

    def ring(self, secret: dict[str, bytes] | None = None) -> KeyRing:
        held = credentials(self.secret if secret is None else secret)
        services = KeyServices(MemoryIdentities, self.send)

        def unwrap(key: ServiceKey) -> bytes:
            return services.unwrap(KeyRequest(key=key, who=held.of(key)))

        return key_ring(self.secret if secret is None else secret, unwrap)


def sops(*words: str, data: bytes, home: Path, environment: dict[str, str]) -> bytes:
    plain = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    done = subprocess.run(
        [str(SOPS), *words, "/dev/stdin"],
        input=data, capture_output=True, env=plain, cwd=home, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def encrypted(service: Service, data: bytes, form: Format, home: Path, *words: str) -> bytes:
    types = ("--input-type", str(form), "--output-type", str(form))
    return sops(
        *service.before,
        "encrypt",
        *service.words,
        *types,
        *words,
        data=data,
        home=home,
        environment=service.environment,
    )


@pytest.fixture(scope="module")
def aws() -> Iterator[Service]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    kms = boto3.client("kms", region_name=REGION, endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="x")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    sender = HttpSender(sleep=lambda _seconds: None)

    def send(request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        return sender(
            HttpRequest(
                method=request.method, path="", url=f"{url}/", body=request.body,
                headers={**request.headers, "host": parts.netloc},
            )
        )  # fmt: skip

    yield Service(
        words=("--kms", arn, "--encryption-context", "app:shop,env:prod"),
        environment={"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        secret={"sops.aws-kms": b"aws_access_key_id: AKIDEXAMPLE\naws_secret_access_key: canary-key\n"},
        send=send,
    )
    server.stop()


@pytest.fixture(scope="module")
def loopback() -> Iterator[KeyServer]:
    with key_server() as server:
        yield server


@pytest.fixture(scope="module")
def google(loopback: KeyServer) -> Service:
    account = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": _rsa_key()}
    return Service(
        words=("--gcp-kms", "projects/acme/locations/global/keyRings/sops/cryptoKeys/main"),
        environment={
            "SOPS_GCP_KMS_CLIENT_TYPE": "rest",
            "SOPS_GCP_KMS_ENDPOINT": loopback.origin,
            "GOOGLE_OAUTH_ACCESS_TOKEN": GOOGLE_TOKEN,
        },
        secret={"sops.gcp-kms": json.dumps(account).encode()},
        send=loopback.send,
    )


@pytest.fixture(scope="module")
def vault(loopback: KeyServer) -> Service:
    return Service(
        words=("--hc-vault-transit", f"{loopback.origin}/v1/team/sops/keys/main"),
        environment={"VAULT_TOKEN": VAULT_TOKEN},
        secret={"sops.vault-token": f"{VAULT_TOKEN}\n".encode()},
        send=HttpSender(sleep=lambda _seconds: None),
    )


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The real `sops` wants TLS and the cloud's names: a proxy leads all of them to the server on loopback."""
    folder = tmp_path_factory.mktemp("azure")
    certificate, authority = _certificates(folder, ["acme.vault.azure.net", "login.microsoftonline.com"])
    with key_server(certificate) as server, _proxy(server.origin) as proxy:
        trust = ssl.create_default_context(cafile=str(authority))
        yield Service(
            words=("--azure-kv", f"https://acme.vault.azure.net/keys/sops/{VERSION}"),
            environment={
                "HTTPS_PROXY": proxy,
                "SSL_CERT_FILE": str(authority),
                "AZURE_TENANT_ID": TENANT,
                "AZURE_CLIENT_ID": "client",
                "AZURE_CLIENT_SECRET": "secret",
            },
            secret={"sops.azure-kv": b"tenantId: acme.example\nclientId: c\nclientSecret: canary-secret\n"},
            send=HttpSender(lambda _url: proxy, sleep=lambda _seconds: None, trust=lambda: trust),
        )


@pytest.fixture(scope="module")
def pgp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    gpg = shutil.which("gpg")
    if gpg is None:
        pytest.skip("no gpg, with which sops encrypts to PGP keys")
    home = tmp_path_factory.mktemp("g")  # short: the agent's socket lives in there
    home.chmod(0o700)
    environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home), "HOME": str(home)}

    def run(*words: str) -> bytes:
        return subprocess.run([gpg, "--batch", *words], env=environment, check=True, capture_output=True).stdout

    run("--passphrase", "", "--quick-generate-key", "a <a@example.com>", "rsa2048", "default", "never")
    run("--passphrase", "", "--quick-generate-key", "b <b@example.com>", "future-default", "default", "never")
    lines = run("--list-keys", "--with-colons").decode().splitlines()
    prints = [line.split(":")[9] for before, line in pairwise(lines) if before[:3] == "pub"]
    keys = run("--armor", "--export-secret-keys")
    yield Service(words=("--pgp", prints[1]), environment={"GNUPGHOME": str(home)}, secret={"both.asc": keys})
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False, capture_output=True)


KINDS = ("aws", "google", "vault", "azure", "pgp")


@pytest.fixture(params=KINDS)
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("form", [Format.YAML, Format.DOTENV])
def test_what_sops_encrypts_with_a_key_of_any_kind_is_decrypted(service: Service, form: Format, tmp_path: Path) -> None:
    sealed = encrypted(service, PLAIN[form], form, tmp_path)
    assert b"canary" not in sealed
    ring = service.ring()
    verify_file(sealed, form, ring)
    assert decrypt_file(sealed, form, ring) == PLAIN[form]


@pytest.mark.parametrize("form", list(Format))
def test_every_format_holds_the_metadata_of_a_key_service(vault: Service, form: Format, tmp_path: Path) -> None:
    sealed = encrypted(vault, PLAIN[form], form, tmp_path)
    assert decrypt_file(sealed, form, vault.ring()) == PLAIN[form]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "aws"])  # moto lets everybody in
def test_without_credentials_it_says_which_key_and_what_to_do(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    service: Service = request.getfixturevalue(kind)
    sealed = encrypted(service, PLAIN[Format.YAML], Format.YAML, tmp_path)
    with pytest.raises(NoKey) as caught:
        decrypt_file(sealed, Format.YAML, service.ring({}))
    assert str(caught.value).startswith("no key opens it: ")
    assert service.words[1].removesuffix(f"/{VERSION}") in str(caught.value)


def test_age_goes_before_a_service_and_a_service_before_nothing(vault: Service, tmp_path: Path) -> None:
    sealed = encrypted(vault, PLAIN[Format.YAML], Format.YAML, tmp_path, "--age", str(IDENTITY.to_public()))

    def never(_key: ServiceKey) -> bytes:
        raise AssertionError("a key at hand goes first")

    assert decrypt_file(sealed, Format.YAML, key_ring(AGE, never)) == PLAIN[Format.YAML]
    assert decrypt_file(sealed, Format.YAML, vault.ring()) == PLAIN[Format.YAML]


GROUPS = """
creation_rules:
  - shamir_threshold: {threshold}
    key_groups:
      - age: [{age}]
      - hc_vault: ["{vault}"]
      - age: [{other}]
      - kms:
          - arn: {arn}
            context: {{app: shop}}
"""


@pytest.mark.parametrize(("threshold", "opens"), [(2, True), (3, True), (4, False)])
@pytest.mark.parametrize("form", list(Format))
def test_shares_of_key_groups_are_put_together(
    vault: Service, aws: Service, threshold: int, opens: bool, form: Format, tmp_path: Path
) -> None:
    other = pyrage.x25519.Identity.generate()
    text = GROUPS.format(
        threshold=threshold, age=IDENTITY.to_public(), other=other.to_public(), vault=vault.words[1], arn=aws.words[1]
    )
    (tmp_path / "rules.yaml").write_text(text)
    plain = Service(
        before=("--config", "rules.yaml"),
        words=("--filename-override", "x"),
        environment={**aws.environment, **vault.environment},
    )
    sealed = encrypted(plain, PLAIN[form], form, tmp_path)
    both = Credentials(aws=AwsKeys(access_key_id="x", secret_access_key="x"), vault=credentials(vault.secret).vault)
    senders = {"AwsKmsKey": aws.send, "VaultKey": vault.send}

    def unwrap(key: ServiceKey) -> bytes:
        services = KeyServices(MemoryIdentities, senders[type(key).__name__])
        return services.unwrap(KeyRequest(key=key, who=both.of(key)))

    ring = key_ring(AGE, unwrap)
    if opens:
        verify_file(sealed, form, ring)
        assert decrypt_file(sealed, form, ring) == PLAIN[form]
    else:
        with pytest.raises(NoKey, match="only 3 of its 4 key groups can be opened, 4 are needed"):
            decrypt_file(sealed, form, ring)


COMMENTED = b"""apiVersion: v1
kind: Secret
metadata:
    name: x
stringData:
    # sops:enc
    token: canary
    plain: visible
    list:
        # sops:enc
        - one
        - two
"""


@pytest.mark.parametrize(
    ("rule", "hidden"),
    [
        ({"encrypted_comment_regex": "sops:enc"}, b"token: ENC["),
        ({"unencrypted_comment_regex": "sops:enc"}, b"plain: ENC["),
        ({"encrypted_regex": "^(data|stringData)$", "mac_only_encrypted": True}, b"token: ENC["),
        ({"encrypted_comment_regex": "sops:enc", "mac_only_encrypted": True}, b"token: ENC["),
        ({"unencrypted_regex": "^(metadata|kind|apiVersion)$"}, b"token: ENC["),
        ({"encrypted_suffix": "ken"}, b"token: ENC["),
        ({"unencrypted_suffix": "plain"}, b"token: ENC["),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_every_rule_about_what_is_encrypted(rule: dict[str, Any], hidden: bytes, tmp_path: Path) -> None:
    rules = {"creation_rules": [{"age": str(IDENTITY.to_public()), **rule}]}
    (tmp_path / "rules.yaml").write_text(json.dumps(rules))
    plain = Service(before=("--config", "rules.yaml"), words=("--filename-override", "x"))
    sealed = encrypted(plain, COMMENTED, Format.YAML, tmp_path)
    assert hidden in sealed
    ring = key_ring(AGE)
    verify_file(sealed, Format.YAML, ring)
    expected = b"".join(line for line in COMMENTED.splitlines(keepends=True) if b"#" not in line)
    assert decrypt_file(sealed, Format.YAML, ring) == expected
    changed = sealed.replace(b"visible", b"changed").replace(b"name: x", b"name: y").replace(b"- two", b"- 2")
    if changed != sealed and "mac_only_encrypted" not in rule:
        with pytest.raises(MacMismatch):
            verify_file(changed, Format.YAML, ring)


@contextmanager
def _proxy(origin: str) -> Iterator[str]:
    """A CONNECT proxy that leads every name to one server."""
    where = urlsplit(origin)
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            for each in (one, other):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := client.recv(65536)):
            head += data
        server = socket.create_connection((where.hostname or "", where.port or 0))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threads = [
            threading.Thread(target=copy, args=pair, daemon=True) for pair in ((client, server), (server, client))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
        server.close()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _rsa_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _certificates(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """A server's certificate with its key, and the authority that signed it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    subjects = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", names[0])]
    now = datetime.now(UTC) - timedelta(hours=1)
    builders = [
        x509.CertificateBuilder(
            subjects[0], subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(2)
        ).add_extension(x509.BasicConstraints(ca=subject is subjects[0], path_length=None), critical=True)
        for subject, key in zip(subjects, keys, strict=True)
    ]
    builders[1] = builders[1].add_extension(
        x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
    )
    made = [builder.sign(keys[0], SHA256()).public_bytes(serialization.Encoding.PEM) for builder in builders]
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(made[1] + secret)
    (folder / "authority.pem").write_bytes(made[0])
    return folder / "server.pem", folder / "authority.pem"
