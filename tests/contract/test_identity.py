"""The contract of the identity port: in memory, and on the clouds' APIs (moto; Google and Azure in recorded shapes)."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.clouds.world import Asked, World, serving

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.adapters.identity.clouds import SERVICE_ACCOUNT, CloudIdentities
from penstock.adapters.identity.memory import MemoryIdentities
from penstock.core.errors import InvalidDocument, NotFound, Refused, Terminal, Transient
from penstock.core.identity import azure
from penstock.ports.identity import Account, Identities

ROLE = "arn:aws:iam::123456789012:role/deployer"
PROVIDER = "projects/42/locations/global/workloadIdentityPools/pool/providers/hub"
EMAIL = "deployer@acme.iam.gserviceaccount.com"
CLIENT, TENANT = "11111111-2222-4333-8444-555555555555", "66666666-7777-4888-9999-000000000000"
REGION = "eu-central-1"
ANNOTATIONS = {
    "eks.amazonaws.com/role-arn": ROLE,
    "gcp.auth.fluxcd.io/workload-identity-provider": PROVIDER,
    "iam.gke.io/gcp-service-account": EMAIL,
    "azure.workload.identity/client-id": CLIENT,
    "azure.workload.identity/tenant-id": TENANT,
}


@dataclass
class Clock:
    """POSIX seconds that a test moves."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Subject:
    name: str
    identities: Identities
    home: MemoryCluster
    clock: Clock
    world: World

    def account(self, annotations: dict[str, str] | None = None, *, name: str = "deployer", **more: Any) -> Account:
        metadata = {
            "name": name,
            "namespace": "apps",
            "annotations": ANNOTATIONS if annotations is None else annotations,
        }
        self.home.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        return Account(home=lambda: self.home, cluster="hub", namespace="apps", name=name, **more)

    def tokens_asked(self) -> int:
        return sum(1 for verb, what in self.home.calls if verb == "create" and "serviceaccounts/token" in what)


def answers() -> dict[tuple[str, str], Any]:
    given = iter(range(1, 1_000))

    def token(_asked: Asked) -> tuple[int, Any]:
        return 200, {"access_token": f"token-{next(given)}", "token_type": "Bearer", "expires_in": 3599}

    def impersonated(asked: Asked) -> tuple[int, Any]:
        if not asked.headers.get("authorization", "").startswith("Bearer token-"):
            return 401, {"error": {"code": 401, "message": "no credentials", "status": "UNAUTHENTICATED"}}
        end = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, {"accessToken": f"token-{next(given)}", "expireTime": end}

    return {
        ("sts.googleapis.com", "/v1/token"): token,
        ("iamcredentials.googleapis.com", "/v1/projects/-/serviceAccounts/"): impersonated,
        ("login.microsoftonline.com", f"/{TENANT}/oauth2/v2.0/token"): token,
    }


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}" if host else ""
    server.stop()


def _home() -> MemoryCluster:
    home = MemoryCluster()
    home.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
    return home


@pytest.fixture
def clouds(moto: str) -> Iterator[Subject]:
    with serving(World(answers=answers(), moto=moto)) as world:
        clock = Clock()
        yield Subject("clouds", CloudIdentities(world.send, clock=clock), _home(), clock, world)


@pytest.fixture(params=["memory", "clouds"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "clouds":
        return request.getfixturevalue("clouds")
    return Subject("memory", MemoryIdentities(), _home(), Clock(), World())


Ask = Callable[[Identities, Account], Any]
EVERY = pytest.mark.parametrize(
    "ask",
    [
        lambda identities, who, **more: identities.aws(who, REGION, **more).keys.secret_access_key,
        lambda identities, who, **more: identities.gcp(who, **more).token,
        lambda identities, who, **more: identities.azure(who, azure.AKS_SCOPE, **more).token,
        lambda identities, who, **more: identities.kubernetes(who, **more).token,
    ],
    ids=["aws", "gcp", "azure", "kubernetes"],
)


@EVERY
def test_a_value_is_kept_and_asked_for_anew_when_told(subject: Subject, ask: Ask) -> None:
    who = subject.account()
    first = ask(subject.identities, who)
    assert first
    assert ask(subject.identities, who) == first
    assert ask(subject.identities, who, fresh=True) != first


@EVERY
def test_accounts_do_not_share(subject: Subject, ask: Ask) -> None:
    other = {**ANNOTATIONS, "eks.amazonaws.com/role-arn": ROLE + "2", "iam.gke.io/gcp-service-account": "b" + EMAIL}
    other["azure.workload.identity/client-id"] = CLIENT.replace("1", "a")
    first, second = subject.account(), subject.account(other, name="other")
    assert ask(subject.identities, first) != ask(subject.identities, second)


@EVERY
def test_an_account_that_is_not_there(subject: Subject, ask: Ask) -> None:
    who = Account(home=lambda: subject.home, cluster="hub", namespace="apps", name="nobody")
    with pytest.raises(NotFound, match="ServiceAccount apps/nobody not found in cluster hub"):
        ask(subject.identities, who)


@EVERY
def test_an_account_that_was_made_anew_is_another(subject: Subject, ask: Ask) -> None:
    """Whoever may delete an account must not leave its identity to the next one of that name."""
    who = subject.account({**ANNOTATIONS})
    first = ask(subject.identities, who)
    found = subject.home.get(SERVICE_ACCOUNT, "apps", "deployer")
    subject.home.delete(found)
    changed = {**ANNOTATIONS, "eks.amazonaws.com/role-arn": ROLE + "2", "iam.gke.io/gcp-service-account": "b" + EMAIL}
    changed["azure.workload.identity/client-id"] = CLIENT.replace("1", "a")
    subject.account(changed)
    assert ask(subject.identities, who) != first


@pytest.mark.parametrize(
    ("ask", "key"),
    [
        (lambda i, who: i.aws(who, REGION), "eks.amazonaws.com/role-arn"),
        (lambda i, who: i.gcp(who), "gcp.auth.fluxcd.io/workload-identity-provider"),
        (lambda i, who: i.azure(who, "x/.default"), "azure.workload.identity/client-id"),
        (lambda i, who: i.azure(who, "x/.default"), "azure.workload.identity/tenant-id"),
    ],
)
def test_an_annotation_that_is_missing_is_named(subject: Subject, ask: Ask, key: str) -> None:
    who = subject.account({k: v for k, v in ANNOTATIONS.items() if k != key})
    with pytest.raises(InvalidDocument, match="is required") as raised:
        ask(subject.identities, who)
    assert raised.value.path == f"metadata.annotations[{key}]"
    assert raised.value.document == "ServiceAccount/apps/deployer"


def test_audiences_are_the_accounts(subject: Subject) -> None:
    one = subject.account(audiences=("https://one.example",))
    two = Account(
        home=lambda: subject.home, cluster="hub", namespace="apps", name="deployer", audiences=("https://two.example",)
    )
    assert subject.identities.kubernetes(one) != subject.identities.kubernetes(two)


@EVERY
def test_nothing_secret_is_in_a_repr(subject: Subject, ask: Ask) -> None:
    who = subject.account()
    value = ask(subject.identities, who)
    shown = repr((subject.identities.gcp(who), subject.identities.aws(who, REGION), subject.identities.kubernetes(who)))
    assert value not in shown


@EVERY
def test_threads_share_one_request(subject: Subject, ask: Ask) -> None:
    who = subject.account()
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda _: ask(subject.identities, who), range(8)))
    assert len(set(values)) == 1
    if subject.name == "clouds":
        assert subject.tokens_asked() == 1


# What only the clouds have


@EVERY
def test_it_is_renewed_before_it_ends(clouds: Subject, ask: Ask) -> None:
    who = clouds.account()
    first = ask(clouds.identities, who)
    clouds.clock.ahead = 3300
    assert ask(clouds.identities, who) == first
    clouds.clock.ahead = 3540
    assert ask(clouds.identities, who) != first, "a minute before its end"


def test_google_is_asked_as_its_reference_says(clouds: Subject) -> None:
    clouds.identities.gcp(clouds.account())
    exchange, impersonation = clouds.world.asked
    assert exchange.json["audience"] == f"//iam.googleapis.com/{PROVIDER}"
    assert exchange.json["subjectToken"].startswith(f"apps/deployer for //iam.googleapis.com/{PROVIDER} #")
    assert exchange.json["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert impersonation.path.endswith(f"/serviceAccounts/{EMAIL}:generateAccessToken")
    assert impersonation.headers["authorization"] == "Bearer token-1"
    assert "https://www.googleapis.com/auth/userinfo.email" in impersonation.json["scope"]


def test_an_account_of_a_gke_cluster_needs_no_provider(clouds: Subject) -> None:
    cluster = "projects/acme/locations/europe-west1/clusters/hub"
    clouds.identities.gcp(clouds.account({}, gke=cluster))
    (exchange,) = clouds.world.asked
    issuer = f"https://container.googleapis.com/v1/{cluster}"
    assert exchange.json["audience"] == f"identitynamespace:acme.svc.id.goog:{issuer}"
    assert exchange.json["subjectToken"].startswith("apps/deployer for acme.svc.id.goog #")


def test_azure_is_asked_as_its_reference_says(clouds: Subject) -> None:
    clouds.identities.azure(clouds.account(), azure.AKS_SCOPE)
    (asked,) = clouds.world.asked
    assert (asked.host, asked.path) == ("login.microsoftonline.com", f"/{TENANT}/oauth2/v2.0/token")
    assertion = asked.form.pop("client_assertion")
    assert assertion.startswith("apps/deployer for api://AzureADTokenExchange #")
    assert asked.form | {"client_assertion": ""} == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "scope": "6dae42f8-4368-4678-94ff-3960e28e3630/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "",
    }


def test_moto_assumes_the_role(clouds: Subject) -> None:
    given = clouds.identities.aws(clouds.account(), REGION)
    assert given.keys.access_key_id.startswith("ASIA")
    assert given.expires == pytest.approx(time.time() + 3600, abs=60)
    (asked,) = clouds.world.asked
    assert asked.host == f"sts.{REGION}.amazonaws.com"
    assert asked.form["RoleSessionName"] == f"deployer.apps.{REGION}.penstock"
    assert asked.form["WebIdentityToken"].startswith("apps/deployer for sts.amazonaws.com #")


def test_a_refusal_is_told_without_the_token(clouds: Subject) -> None:
    wrong = {"error": "invalid_grant", "error_description": "The audience in ID Token does not match.\r\nTrace ID: 1"}
    clouds.world.answers["sts.googleapis.com", "/v1/token"] = (400, wrong)
    with pytest.raises(Refused, match="invalid_grant: The audience in ID Token does not match") as raised:
        clouds.identities.gcp(clouds.account())
    assert "deployer for" not in str(raised.value)
    assert "Trace" not in str(raised.value)


def test_a_redirect_is_not_followed(clouds: Subject) -> None:
    clouds.world.answers["sts.googleapis.com", "/v1/token"] = (307, {})
    with pytest.raises(Refused, match="it redirects elsewhere, which is not followed"):
        clouds.identities.gcp(clouds.account())
    assert len(clouds.world.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_cloud_is_asked_three_times(clouds: Subject, status: int) -> None:
    clouds.world.answers["sts.googleapis.com", "/v1/token"] = (status, b"busy")
    with pytest.raises(Transient, match=str(status)):
        clouds.identities.gcp(clouds.account())
    assert len(clouds.world.asked) == 3


@pytest.mark.parametrize("body", [b"<html>", b"[]", json.dumps({"access_token": ""}).encode(), b"x" * (2 << 20)])
def test_an_answer_that_is_none_is_no_token(clouds: Subject, body: bytes) -> None:
    clouds.world.answers["sts.googleapis.com", "/v1/token"] = (200, body)
    with pytest.raises((Transient, Terminal), match=r"not what is documented|larger than"):
        clouds.identities.gcp(clouds.account())
