"""Least privilege, tried: whole stories on moto, and each call that a stage makes against that stage's policy."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from tests.aws import events
from tests.aws.plane import NAMES, in_process, make_bucket, make_queues, make_table
from tests.aws.test_flow import AwsPlane, story
from tests.infra import iam, secret_rights, terraform
from tests.infra.aws_calls import spied_on
from tests.infra.test_topology import ACCOUNT
from tests.memory_plane import kustomization

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.parameterstore import ParameterStoreSecrets
from penstock.core.flux.receiver import webhook_digest
from penstock.core.messages import Envelope, ReconcileDue, SourceChanged
from penstock.core.records import ReceiverRecord, receiver_key
from penstock.core.secrets.names import API_TOKEN, WEBHOOK, secret_name
from penstock.ports.bus import Dispatch
from penstock.wiring import lambda_functions, load_pipeline
from penstock.wiring.lazy import Once

ARN = f"{NAMES.region}:{NAMES.account}"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return terraform.outputs("aws/model", tmp_path_factory.mktemp("model"), **ACCOUNT)


@pytest.fixture(scope="module")
def policies(model):
    return model["policies"]


@pytest.fixture
def calls(monkeypatch):
    return spied_on(monkeypatch)


@pytest.fixture
def plane(calls, monkeypatch):
    clock = SimulatedClock()
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        make_table(clients)
        make_bucket(clients)
        plane = AwsPlane(clock)
        monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: plane.runtime))
        yield plane


def test_nothing_is_reached_over_plain_http(model):
    """Each queue, dead letter queue and topic, and the bucket, refuses what comes without TLS, whoever it is from."""
    arns, tls = model["arns"], model["tls_policies"]
    held = [
        *((arns["queues"][stage], policy, "sqs:*") for stage, policy in model["queue_policies"].items()),
        *((arns["dead_queues"][stage], policy, "sqs:*") for stage, policy in tls["dead_queues"].items()),
        *((arns["topics"][topic], policy, "sns:Publish") for topic, policy in tls["topics"].items()),
        ([arns["bucket"], f"{arns['bucket']}/*"], model["bucket_policy"], "s3:*"),
    ]
    assert len(held) == 2 * len(arns["queues"]) + len(arns["topics"]) + 1
    for resource, policy, action in held:
        (statement,) = [each for each in policy["Statement"] if each["Effect"] == "Deny"]
        assert (statement["Resource"], statement["Action"], statement["Principal"]) == (resource, action, "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def refused(calls, policies):
    return sorted(
        {
            f"{stage}: {act} on {resource} {context}"
            for stage, act, resource, context in calls.made
            if not iam.allowed(policies[stage], act, resource, context)
        }
    )


def post(plane, stage, *, signed):
    """A push to the plane's Receiver."""
    digest, name = webhook_digest(b"token", "fleet", "flux-system"), secret_name(WEBHOOK, "prod", "flux-system", "hook")
    resource = {"kind": "GitRepository", "namespace": "flux-system", "name": "flux-system"}
    record = ReceiverRecord(
        cluster="prod",
        namespace="flux-system",
        name="fleet",
        type="github",
        digest=digest,
        secret=name,
        events=("push",),
        resources=(resource,),
    )
    plane.state.put(receiver_key(digest, "prod", "flux-system", "fleet"), record.to_value(), expected=None)
    plane.secrets.put(name, {"token": b"token"}, owner="uid")
    key = b"token" if signed else b"another"
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-hub-signature-256": "sha256=" + hmac.new(key, b"{}", hashlib.sha256).hexdigest(),
    }
    event = events.function_url(path=f"/hook/{digest}", headers=headers, body=b"{}")
    return lambda_functions.http_handler(stage)(event, events.Context())


def ask(plane, method, path, body=b""):
    """The status of the api's answer."""
    plane.secrets.put(API_TOKEN, {"token": b"t" * 32}, owner="uid")
    headers = {"authorization": f"Bearer {'t' * 32}", "content-type": "application/json"}
    event = events.function_url(method, path, headers=headers, body=body)
    return lambda_functions.http_handler("api")(event, events.Context())["statusCode"]


def test_every_call_of_a_story_is_allowed_to_its_stage(plane, calls, policies):
    story(plane)
    plane.push({"clusters/prod/broken.yaml": kustomization("broken", "./nowhere"), "clusters/prod/web.yaml": None})
    plane.settle(seconds=1800)
    for _ in range(4):  # a collection deletes what the one before found unnamed
        plane.clock.advance(2 * 86_400)
        plane.tick()
        plane.settle()
    assert ("tick", "s3:DeleteObject") in {(stage, act) for stage, act, *_ in calls.made}
    assert post(plane, "webhook", signed=True)["statusCode"] == 202
    assert post(plane, "webhook", signed=False)["statusCode"] == 401
    assert ask(plane, "GET", "/status") == 200
    body = {"cluster": "prod", "namespace": "flux-system", "name": "base"}
    assert ask(plane, "POST", "/reconcile", json.dumps({**body, "kind": "Kustomization"}).encode()) == 202
    assert ask(plane, "POST", "/suspend", json.dumps({**body, "who": "ada", "why": "a test"}).encode()) == 200
    plane.settle()
    assert {stage for stage, *_ in calls.made} == set(load_pipeline().stages)
    assert {act for _, act, *_ in calls.made} >= {"s3:PutObject", "dynamodb:Query", "sns:Publish", "dynamodb:Scan"}
    assert refused(calls, policies) == []


def test_what_a_story_does_not_come_to_is_allowed_too(plane, calls, model, policies):
    """Delays of each length by who delays, a dead letter, a copied Secret that changes and goes."""
    for stage, message in (("fetch", SourceChanged), ("reconcile", ReconcileDue)):
        envelope = Envelope(
            message=message(cluster="prod", namespace="flux-system", name="x"),
            id=f"{stage}-delayed",
            traceparent=f"00-{'ab' * 16}-{'c' * 16}-01",
        )
        with calls.of(stage):
            plane.bus.publish([Dispatch(envelope=envelope, delay=delay) for delay in (0.0, 60.0, 3600.0)])
    assert calls.scheduled == set(model["scheduler_policy"]["Statement"][0]["Resource"])
    for name in ("fetch", "reconcile"):
        with calls.of(name):
            delivery = plane.bus.receive(name, wait=0)
            plane.bus.bury(name, delivery.receipt, "{}", "poison")
    with calls.of("reconcile"):
        for data in ({"a": b"1"}, {"a": b"2"}):
            plane.secrets.put("fetch_prod_a_b", data, owner="uid")
        plane.secrets.delete("fetch_prod_a_b", owner="uid")
    with calls.of("tick"):
        list(plane.bus.lost())
    acts = {act for _, act, *_ in calls.made}
    assert acts >= {"sqs:SendMessage", "scheduler:CreateSchedule", "sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert acts >= {f"secretsmanager:{name}Secret" for name in ("Create", "Delete", "Describe")}
    assert refused(calls, policies) == []
    event = f"arn:aws:sqs:{ARN}:{NAMES.prefix}-notify"
    assert not any(iam.allowed(policies[stage], "sqs:SendMessage", event) for stage in policies), (
        "nobody puts events off"
    )


def test_in_parameter_store_copies_are_all_that_a_plane_may_change(calls, tmp_path):
    policies = terraform.outputs("aws/model", tmp_path, secrets_store=PARAMETER_STORE, **ACCOUNT)["policies"]
    with in_process() as clients:
        secrets = ParameterStoreSecrets(
            clients, replace(NAMES, secrets_store=PARAMETER_STORE).secret_path, SimulatedClock()
        )
        with calls.of("reconcile"):
            for data in ({"a": b"1"}, {"a": b"2"}):
                secrets.put("fetch_prod_a_b", data, owner="uid")
            secrets.delete("fetch_prod_a_b", owner="uid")
            secrets.delete("penstock_prod_a_b", owner="uid")
        for stage in ("webhook", "fetch", "notify"):
            with calls.of(stage):
                assert secrets.get(f"{stage}_prod_a_b") is None
        with calls.of("api"):
            assert secrets.get(API_TOKEN) is None
    acts = {act for _, act, *_ in calls.made}
    assert acts == {f"ssm:{name}" for name in ("GetParameter", "PutParameter", "DeleteParameter")} | {
        "ssm:ListTagsForResource",
        "ssm:AddTagsToResource",
    }
    assert refused(calls, policies) == []
    arn = f"arn:aws:ssm:{ARN}:parameter/{NAMES.prefix}/fetch_prod_a_b"
    assert not iam.allowed(policies["reconcile"], "ssm:PutParameter", arn)
    assert not iam.allowed(policies["reconcile"], "ssm:DeleteParameter", arn)
    assert not iam.allowed(policies["fetch"], "ssm:GetParameter", arn.replace(NAMES.prefix, "plane-10"))
    assert not any("secretsmanager" in json.dumps(policy) for policy in policies.values())
    assert_secrets(policies, PARAMETERS)


SECRETS = {
    "arn": f"arn:aws:secretsmanager:{ARN}:secret:{NAMES.secret_path}{{}}-AbCdEf",
    "read": "secretsmanager:GetSecretValue",
    "make": "secretsmanager:CreateSecret",
    "change": "secretsmanager:PutSecretValue",
    "remove": "secretsmanager:DeleteSecret",
}
PARAMETERS = {
    "arn": f"arn:aws:ssm:{ARN}:parameter/{NAMES.prefix}/{{}}",
    "read": "ssm:GetParameter",
    "make": "ssm:AddTagsToResource",
    "change": "ssm:PutParameter",
    "remove": "ssm:DeleteParameter",
}
NEW, OURS = ({f"aws:{where}Tag/penstock.dev/owner": ["uid"]} for where in ("Request", "Resource"))


def assert_secrets(policies, store):
    """Each stage with each secret: both what it may and what it may not."""

    def who(verb, name, context=None):
        arn = store["arn"].format(name)
        return {stage for stage, policy in policies.items() if iam.allowed(policy, store[verb], arn, context)}

    for name, readers in secret_rights.READ.items():
        assert who("read", name) == readers, name
        changed = {"reconcile"} if secret_rights.CHANGED[name] else set()
        assert who("make", name, NEW) == who("change", name, OURS) == changed, name
        assert who("remove", name, OURS) == ({"reconcile"} if secret_rights.REMOVED[name] else set()), name
        assert who("change", name) == who("remove", name) == set(), name


def test_each_stage_reads_the_secrets_that_are_there_for_it_and_no_others(policies):
    assert_secrets(policies, SECRETS)
    webhook = policies["webhook"]["Statement"]
    more = {"Effect": "Allow", "Action": [SECRETS["read"]], "Resource": [SECRETS["arn"].format("*")]}
    with pytest.raises(AssertionError, match="fetch_prod"):
        assert_secrets({**policies, "webhook": {"Statement": [*webhook, more]}}, SECRETS)


def test_a_right_that_is_taken_away_is_missed(plane, calls, policies):
    story(plane)
    statements = [each for each in policies["fetch"]["Statement"] if each["Sid"] != "WriteArtifacts"]
    poorer = {**policies, "fetch": {"Statement": statements}}
    assert any("fetch: s3:PutObject" in line for line in refused(calls, poorer))


@pytest.mark.parametrize(
    ("stage", "act", "resource", "context"),
    [
        ("webhook", "dynamodb:GetItem", f"table/{NAMES.table}", {"dynamodb:LeadingKeys": ["status/prod"]}),
        ("webhook", "dynamodb:PutItem", f"table/{NAMES.table}", {"dynamodb:LeadingKeys": ["object/prod"]}),
        ("webhook", "dynamodb:PutItem", f"table/{NAMES.table}", {}),
    ],
)
def test_the_webhook_reaches_its_own_records_only(policies, stage, act, resource, context):
    arn = f"arn:aws:dynamodb:{ARN}:{resource}"
    assert not iam.allowed(policies[stage], act, arn, context)
    assert iam.allowed(policies[stage], act, arn, {"dynamodb:LeadingKeys": ["delivery"]})


def test_secrets_without_the_planes_mark_are_safe_from_it(policies):
    arn = f"arn:aws:secretsmanager:{ARN}:secret:{NAMES.secret_path}fetch_prod_a_b-AbCdEf"
    marked = {"aws:ResourceTag/penstock.dev/owner": ["plane"]}
    assert iam.allowed(policies["reconcile"], "secretsmanager:DeleteSecret", arn, marked)
    assert not iam.allowed(policies["reconcile"], "secretsmanager:DeleteSecret", arn)
    assert not iam.allowed(policies["reconcile"], "secretsmanager:CreateSecret", arn)


def test_another_planes_resources_are_out_of_reach(policies):
    for stage, policy in policies.items():
        for act, arn in (
            ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{ARN}:secret:plane-2/x"),
            ("dynamodb:GetItem", f"arn:aws:dynamodb:{ARN}:table/plane-2-state"),
            ("s3:GetObject", "arn:aws:s3:::other/artifacts/sha256/ab"),
            ("sns:Publish", f"arn:aws:sns:{ARN}:plane-2-event"),
            ("iam:PassRole", "arn:aws:iam::123456789012:role/admin"),
        ):
            assert not iam.allowed(policy, act, arn, {"iam:PassedToService": ["scheduler.amazonaws.com"]}), stage
