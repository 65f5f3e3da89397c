"""Whom the key services of SOPS are asked as: the decryption Secret, a ServiceAccount, or the plane itself; and who never."""

import base64
import json
from typing import Any

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.cluster.memory import Grant
from penstock.core.errors import Refused, Transient
from penstock.core.messages import ReconcileDue
from penstock.core.records import object_key
from penstock.core.secrets.encrypt import Fresh, seal
from penstock.core.secrets.master_keys import AwsKmsKey, AzureKey, GcpKmsKey, ServiceKey, VaultKey
from penstock.ports.identity import Account
from penstock.ports.keys import KeyRequest

DATA_KEY = b"canary-data-key-of-32-bytes-long"
VALUE = "canary-value"
VAULT = "https://vault.example.com:8200"
AWS = AwsKmsKey(arn="arn:aws:kms:eu-central-1:111122223333:key/main", enc="")
GCP = GcpKmsKey(resource="projects/acme/locations/global/keyRings/sops/cryptoKeys/main", enc="")
AZURE = AzureKey(vault_url="https://acme.vault.azure.net", name="sops", enc="")
TRANSIT = VaultKey(address=VAULT, engine="sops", name="main", enc="")
ENTRIES: dict[type, tuple[str, dict[str, str]]] = {
    AwsKmsKey: ("kms", {"arn": "arn"}),
    GcpKmsKey: ("gcp_kms", {"resource_id": "resource"}),
    AzureKey: ("azure_kv", {"vault_url": "vault_url", "name": "name"}),
    VaultKey: ("hc_vault", {"vault_address": "address", "engine_path": "engine", "key_name": "name"}),
}
HELD = {
    "sops.aws-kms": "aws_access_key_id: AKIDEXAMPLE\naws_secret_access_key: canary-secret-key\n",
    "sops.gcp-kms": json.dumps(
        {"type": "service_account", "client_email": "sops@acme.example", "private_key": "canary-private-key"}
    ),
    "sops.azure-kv": "tenantId: acme.example\nclientId: app\nclientSecret: canary-client-secret\n",
    "sops.vault-token": "canary-vault-token",
}
TENANT = "system:serviceaccount:team:builder"
OWN = "the plane's own identity"
VAULTS = {"sopsVaults": [{"address": VAULT, "loginPath": "auth/kubernetes/login"}]}


class World:
    """A plane whose Kustomization ``team/shop`` renders one encrypted Secret, beside another that has none."""

    def __init__(self, *, policy: dict[str, Any] | None = None) -> None:
        self.plane = MemoryPlane(policy=policy)
        for name in ("team", "shop"):
            self.plane.cluster.create(yaml.safe_load(namespace(name)))
        self.plane.cluster.grants.append(Grant(user=TENANT, namespace="team"))
        self.plane.cluster.grants.append(Grant(user=TENANT, namespace="shop"))

    def sealed(self, *keys: ServiceKey, name: str = "login", only: set[str] | None = None) -> str:
        masters: dict[str, list[dict[str, str]]] = {}
        for key in keys:
            kind, fields = ENTRIES[type(key)]
            entry = {field: getattr(key, attribute) for field, attribute in fields.items()}
            enc = self.plane.keys.wrap(key, DATA_KEY, only=only)
            masters.setdefault(kind, []).append({**entry, "enc": enc})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "shop"},
            "stringData": {"password": VALUE},
        }
        random = iter(bytes([number]) * 32 for number in range(1, 256))
        return seal(secret, DATA_KEY, masters, Fresh(random=lambda _size: next(random), now="2026-01-02T03:04:05Z"))

    def hold(self, **entries: str) -> None:
        """The decryption Secret ``team/keys``."""
        data = {name: base64.b64encode(HELD[name].encode()).decode() for name in HELD if name in entries.values()}
        self.hold_raw(data)

    def hold_raw(self, data: dict[str, str]) -> None:
        metadata = {"name": "keys", "namespace": "team"}
        self.plane.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def run(self, sealed: str, *, secret: bool = False, account: str = "", **spec: Any) -> str:
        decryption: dict[str, Any] = {"provider": "sops"}
        decryption |= {"secretRef": {"name": "keys"}} if secret else {}
        decryption |= {"serviceAccountName": account} if account else {}
        files = {
            "clusters/prod/shop.yaml": kustomization(
                "shop", "shop", namespace="team", decryption=decryption, retryInterval="2m", **spec
            ),
            "clusters/prod/other.yaml": kustomization("other", "other"),
            "shop/login.yaml": sealed,
            "shop/settings.yaml": config_map("settings", "shop", key="1"),
            "other/settings.yaml": config_map("other", "shop", key="1"),
        }
        self.plane.push({**self.plane.files, **files})
        self.plane.settle(seconds=60)
        return self.ready()

    def ready(self) -> str:
        return self.plane.ready("shop", namespace="team")

    def applied(self) -> bool:
        found = self.plane.live("v1", "Secret", "shop", "login")
        assert found is None or found["data"] == {"password": base64.b64encode(VALUE.encode()).decode()}
        return found is not None

    def asked_as(self) -> list[str]:
        return [str(request) for request in self.plane.keys.asked]

    def untouched_but_others_go_on(self) -> bool:
        alone = self.plane.config_map("settings", "shop") is None and not self.applied()
        return (
            alone
            and self.plane.ready("other").startswith("True")
            and self.plane.config_map("other", "shop") is not None
        )


KEYS: list[tuple[ServiceKey, str, str]] = [
    (AWS, "sops.aws-kms", "access key AKIDEXAMPLE"),
    (GCP, "sops.gcp-kms", "service account sops@acme.example of sops.gcp-kms"),
    (AZURE, "sops.azure-kv", "service principal app of sops.azure-kv"),
    (TRANSIT, "sops.vault-token", "the token in sops.vault-token"),
]
BY_KIND = pytest.mark.parametrize(("key", "entry", "shown"), KEYS, ids=[entry for _, entry, _ in KEYS])


@BY_KIND
def test_the_credentials_of_the_secret_go_before_a_service_account(key: ServiceKey, entry: str, shown: str) -> None:
    world = World(policy=VAULTS)
    world.hold(entry=entry)
    assert world.run(world.sealed(key, only={shown}), secret=True, account="decryptor").startswith("True")
    assert world.applied()
    assert set(world.asked_as()) == {shown}


@BY_KIND
def test_a_service_account_decrypts_where_the_secret_has_no_credentials(
    key: ServiceKey, entry: str, shown: str
) -> None:
    """Credentials of another service are none of this one's."""
    world = World(policy=VAULTS)
    world.hold(entry=next(each for each in HELD if each != entry))
    account = "ServiceAccount team/decryptor"
    ready = world.run(world.sealed(key, only={account}), secret=True, account="decryptor", serviceAccountName="builder")
    assert ready.startswith("True"), ready
    assert world.applied()
    (request,) = world.plane.keys.asked
    assert str(request) == account
    assert isinstance(request.who, Account)
    assert request.who.home() is world.plane.cluster
    assert request.who.audiences == ((VAULT,) if key is TRANSIT else ())
    assert request.login_path == ("auth/kubernetes/login" if key is TRANSIT else "")


@BY_KIND
def test_the_plane_itself_decrypts_for_what_it_applies_itself(key: ServiceKey, entry: str, shown: str) -> None:
    world = World(policy=VAULTS)
    assert world.run(world.sealed(key, only={OWN})).startswith("True")
    assert world.applied()
    assert world.asked_as() == [OWN]


@BY_KIND
@pytest.mark.parametrize("by", ["serviceAccountName", "defaultServiceAccount"])
def test_the_plane_itself_does_not_decrypt_for_what_a_tenant_applies(
    key: ServiceKey, entry: str, shown: str, by: str
) -> None:
    """The tenant writes the files, and could have those of others decrypted that he can read."""
    policy = {**VAULTS, **({by: "builder"} if by == "defaultServiceAccount" else {})}
    world = World(policy=policy)
    spec: dict[str, Any] = {by: "builder"} if by == "serviceAccountName" else {}
    ready = world.run(world.sealed(key), **spec)
    assert world.asked_as() == []
    assert not world.applied()
    assert ready.startswith("False BuildFailed: decryption failed for 'Secret/shop/login' in shop/login.yaml: "), ready
    assert f"{key}: {TENANT} may not decrypt as the plane itself" in ready
    assert "decryption.serviceAccountName" in ready
    assert "policy.ownIdentityDecryption" in ready


@pytest.mark.parametrize(("listed", "may"), [("team/shop", True), ("team/sho", False), ("flux-system/shop", False)])
def test_it_does_where_the_operator_lists_the_kustomization(listed: str, may: bool) -> None:
    world = World(policy={"ownIdentityDecryption": [listed]})
    ready = world.run(world.sealed(GCP), serviceAccountName="builder")
    assert ready.startswith("True") is may, ready
    assert world.asked_as() == ([OWN] if may else [])


@pytest.mark.parametrize("data", ["clientId: 11111111-2222", '{"clientId": "11111111-2222"}'])
def test_a_managed_identity_in_a_tenants_secret_is_the_planes_own(data: str) -> None:
    world = World()
    world.hold_raw({"sops.azure-kv": base64.b64encode(data.encode()).decode()})
    ready = world.run(world.sealed(AZURE), secret=True, account="decryptor", serviceAccountName="builder")
    assert "may not decrypt as the plane itself" in ready
    assert world.asked_as() == []


def test_a_tenants_child_that_names_another_account_does_not_either() -> None:
    """The account ``strong`` of flux-system is the child's own choice: what counts is who made it."""
    world = World()
    world.plane.cluster.grants += [
        Grant(user=TENANT, namespace="flux-system"),
        Grant(user="system:serviceaccount:flux-system:strong"),
    ]
    child = kustomization("child", "child", serviceAccountName="strong", decryption={"provider": "sops"})
    world.plane.push(
        {
            "clusters/prod/team.yaml": kustomization("team", "team", namespace="team", serviceAccountName="builder"),
            "team/child.yaml": child,
            "child/login.yaml": world.sealed(GCP),
        }
    )
    world.plane.settle(seconds=60)
    assert "may not decrypt as the plane itself" in world.plane.ready("child")
    assert world.asked_as() == []
    assert not world.applied()


@pytest.mark.parametrize(
    ("gone", "said"),
    [(False, f"{TENANT} may not decrypt as the plane itself"), (True, "may decrypt as the plane itself is not known")],
)
def test_who_made_it_counts_as_it_is_now(gone: bool, said: str) -> None:
    """Its parent has become a tenant's, or cannot be read, and has not rendered it again yet."""
    world = World()
    child = kustomization("child", "child", decryption={"provider": "sops"})
    world.plane.push(
        {
            "clusters/prod/team.yaml": kustomization("team", "team", namespace="team"),
            "team/child.yaml": child,
            "child/login.yaml": world.sealed(GCP),
        }
    )
    world.plane.settle(seconds=60)
    assert world.applied()
    world.plane.keys.asked.clear()
    key = object_key(CLUSTER, "Kustomization", "team", "team")
    found = world.plane.state.get(key)
    assert found is not None
    document = {**found.value["document"]}
    document["spec"] = {**document["spec"], "serviceAccountName": "builder"}
    if gone:
        world.plane.state.delete(key, expected=None)
    else:
        world.plane.state.put(key, {**found.value, "document": document}, expected=None)
    world.plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="child", why="request"))
    world.plane.run_only("child")
    assert said in world.plane.ready("child")
    assert world.asked_as() == []


FLAG = """
apiVersion: apps/v1
kind: Deployment
metadata:
  {name: kustomize-controller, namespace: flux-system, labels: {app.kubernetes.io/part-of: flux}}
spec:
  template: {spec: {containers: [{name: manager, args: [--default-decryption-service-account=locked]}]}}
"""


@pytest.mark.parametrize("where", ["policy", "flux's flag"])
def test_a_lockdown_names_the_account(where: str) -> None:
    world = World(policy={"defaultDecryptionServiceAccount": "locked"} if where == "policy" else None)
    sealed = world.sealed(GCP, only={"ServiceAccount team/locked"})
    if where != "policy":
        world.plane.push({"clusters/prod/flux.yaml": FLAG})
        world.plane.settle()
    assert world.run(sealed).startswith("True")
    assert set(world.asked_as()) == {"ServiceAccount team/locked"}


@pytest.mark.parametrize(
    "address",
    [
        "https://vault.evil.example:8200",
        "http://vault.example.com:8200",
        "https://vault.example.com",
        "https://vault.example.com:8201",
        "https://vault.example.com.evil.example:8200",
        "https://vault.example.com:8200@evil.example",
        "https://vault.example.com:8200/v1/../../elsewhere",
        "https://evil.example/?https://vault.example.com:8200",
        "https://evil.example#https://vault.example.com:8200",
        "http://169.254.169.254",
        "file:///etc/passwd",
        "vault.example.com:8200",
        "https://[::1",
        "",
    ],
)
@pytest.mark.parametrize("who", ["secret", "account", "own"])
def test_no_other_vault_than_the_operators_is_sent_anything(address: str, who: str) -> None:
    world = World(policy=VAULTS)
    world.hold(entry="sops.vault-token")
    key = VaultKey(address=address, engine="sops", name="main", enc="")
    ready = world.run(world.sealed(key), secret=who == "secret", account="decryptor" if who == "account" else "")
    assert world.asked_as() == []
    assert "is not in policy.sopsVaults: the operator lists the Vaults that may be sent a token" in ready
    assert ready.startswith("False BuildFailed: decryption failed for 'Secret/shop/login' in shop/login.yaml: ")
    assert world.untouched_but_others_go_on()


@pytest.mark.parametrize("address", [f"{VAULT}/", "https://VAULT.example.com:8200"])
def test_an_address_is_compared_by_scheme_host_and_port(address: str) -> None:
    world = World(policy=VAULTS)
    assert world.run(world.sealed(VaultKey(address=address, engine="sops", name="main", enc=""))).startswith("True")


def test_a_refusal_is_terminal_names_file_and_key_and_stops_nobody_else() -> None:
    world = World()
    world.plane.keys.fail = lambda request: Refused(f"no right to use it (asked as {request})")
    ready = world.run(world.sealed(GCP))
    expected = f"in shop/login.yaml: no key opens it: {GCP}: no right to use it (asked as {OWN})"
    assert ready == f"False BuildFailed: decryption failed for 'Secret/shop/login' {expected}"
    assert world.untouched_but_others_go_on()
    tried = len(world.asked_as())
    world.plane.settle(seconds=60)
    assert len(world.asked_as()) == tried, "nothing but a change or the interval looks at it again"


def test_a_service_that_is_busy_is_asked_again_soon_and_stops_nobody_else() -> None:
    world = World()
    world.plane.keys.fail = lambda _request: Transient("Google answered 503", retry_after=7.0)
    sealed = world.sealed(GCP)
    ready = world.run(sealed)
    assert f"shop/login.yaml: no key opens it: {GCP}: Google answered 503" in ready
    assert world.untouched_but_others_go_on()
    assert len(world.asked_as()) > 1, "within a minute, long before the retry interval"
    world.plane.keys.fail = lambda _request: None
    world.plane.settle(seconds=120)
    assert world.ready().startswith("True")
    assert world.applied()


def test_a_silent_service_is_asked_once_in_a_run_and_another_one_still() -> None:
    world = World(policy=VAULTS)
    world.plane.keys.fail = lambda request: Transient("silence") if isinstance(request.key, GcpKmsKey) else None
    other = GcpKmsKey(resource=f"{GCP.resource}2", enc="")
    assert world.run(world.sealed(GCP, other, TRANSIT)).startswith("True")
    kinds = [type(request.key).__name__ for request in world.plane.keys.asked]
    assert sorted(kinds) == ["GcpKmsKey", "VaultKey"]


def test_key_services_that_never_end_do_not_hold_a_run_for_ever() -> None:
    world = World()

    def slow(request: KeyRequest) -> None:
        world.plane.clock.advance(45)
        raise Refused("no right")

    world.plane.keys.fail = slow
    keys = [GcpKmsKey(resource=f"{GCP.resource}{number}", enc="") for number in range(20)]
    assert "key services took longer than 120 s" in world.run(world.sealed(*keys))
    assert len(world.asked_as()) < 20


@pytest.mark.parametrize(
    ("entry", "text", "problem"),
    [
        ("sops.gcp-kms", '{"type": "external_account", "private_key": "canary"}', "type is 'external_account'"),
        (
            "sops.gcp-kms",
            '{"type": "service_account", "token_uri": "https://evil.example/token", "private_key": "canary"}',
            "token_uri must be https://oauth2.googleapis.com/token",
        ),
        ("sops.aws-kms", "aws_access_key_id: canary", "aws_secret_access_key is missing"),
        ("sops.azure-kv", "canary", "must be a YAML or JSON mapping"),
        ("sops.vault-token", "canary\x00", "holds no token"),
    ],
)
def test_credentials_that_cannot_be_used_are_named_and_stop_nobody_else(entry: str, text: str, problem: str) -> None:
    world = World()
    world.hold_raw({entry: base64.b64encode(text.encode()).decode()})
    ready = world.run(world.sealed(GCP), secret=True)
    assert f"{entry}: " in ready
    assert problem in ready
    assert "canary" not in ready
    assert world.untouched_but_others_go_on()


def test_nothing_of_keys_and_values_is_told() -> None:
    world = World(policy=VAULTS)
    world.hold(**{str(number): name for number, name in enumerate(HELD)})
    world.plane.keys.fail = lambda request: Refused(f"no right (asked as {request})")
    sealed = world.sealed(AWS, GCP, AZURE, TRANSIT)
    world.run(sealed, secret=True)
    world.plane.keys.fail = lambda _request: None
    assert world.run(sealed + "# again\n", secret=True).startswith("True")
    told = repr(world.plane.events) + repr([r.value for r in world.plane.state.list("")]) + repr(world.plane.keys.asked)
    told += repr(world.plane.telemetry.__dict__)
    assert "sops.vault-token" in told
    assert "canary" not in told
