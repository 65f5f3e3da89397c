"""What functions of a plane find on moto: made by Terraform's module and read back, or by tests/aws/plane.py.

Which of the two is in the tests' names: by Terraform wherever it is, with the schemas that its providers are made of.
"""

import base64
import contextlib
import hashlib
from dataclasses import dataclass

from tests.aws.plane import ENVIRONMENT, NAMES, empty_server, on_a_server
from tests.infra.applied import aws, run
from tests.package import bundles

from penstock.adapters.aws.clients import Clients
from penstock.wiring import load_pipeline

NOTIFY = {"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """An event source mapping: which queue, by name, feeds which stage, and how many messages at once."""

    queue: str
    stage: str
    batch: int


@dataclass(frozen=True, kw_only=True)
class Made:
    """``environments``: by stage, of its function. ``shell``: what an operator's shell has, beside credentials.

    ``policies``: by stage, of its function's role; none where no Terraform made one.
    """

    environments: dict[str, dict[str, str]]
    sources: list[Source]
    scheduled: list[str]
    shell: dict[str, str]
    policies: dict[str, dict]


@contextlib.contextmanager
def made(directory):
    """A plane on moto's server, by ``run.how``."""
    with _by_terraform(directory) if run.how() == "terraform" else _by_hand() as found:
        yield found


@contextlib.contextmanager
def _by_hand():
    pipeline = load_pipeline()
    environments = {stage: ENVIRONMENT | (NOTIFY if stage == "notify" else {}) for stage in pipeline.stages}
    sources = [Source(queue=NAMES.queue(each.name), stage=each.name, batch=1) for each in pipeline.queues()]
    with on_a_server():
        yield Made(environments=environments, sources=sources, scheduled=["tick"], shell=ENVIRONMENT, policies={})


@contextlib.contextmanager
def _by_terraform(directory):
    variables = {"bundle": str(bundles.made("aws").zip), "prefix": NAMES.prefix, "environment": {"notify": NOTIFY}}
    with empty_server(), run.providers(aws=aws.WORLD) as told:
        folder = run.caller(directory, "aws", provider={"aws": {"region": NAMES.region}}, **variables)
        config = run.Configuration(folder, told)
        config.apply()
        yield _read(Clients(NAMES.region).client, config.outputs()["all"]["environment"])


def _read(client, shell):
    functions = {each["FunctionArn"]: each for each in client("lambda").list_functions()["Functions"]}
    stages = {arn: _stage(each) for arn, each in functions.items()}
    return Made(
        environments={stage: functions[arn]["Environment"]["Variables"] for arn, stage in stages.items()},
        sources=[
            _source(client, stages, each)
            for each in client("lambda").list_event_source_mappings()["EventSourceMappings"]
        ],
        scheduled=[
            stages[target["Arn"]]
            for rule in client("events").list_rules()["Rules"]
            for target in client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
        ],
        shell={**ENVIRONMENT, **shell},
        policies={
            stage: _policy(client("iam"), functions[arn]["Role"].rpartition("/")[2]) for arn, stage in stages.items()
        },
    )


def _stage(function):
    """Which stage a function is: by its handler. Its code is the bundle."""
    path, _, name = function["Handler"].rpartition(".")
    folder, stage, file = path.split("/")
    assert (folder, file, name) == ("functions", "lambda_handler", "handler")
    assert (bundles.made("aws").root / f"{path}.py").is_file()
    digest = hashlib.sha256(bundles.made("aws").zip.read_bytes()).digest()
    assert function["CodeSha256"] == base64.b64encode(digest).decode()
    return stage


def _policy(iam, role):
    """All that a role may: Lambda alone can take it, and it has one policy."""
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    assert [each["Principal"] for each in trust["Statement"]] == [{"Service": "lambda.amazonaws.com"}]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]


def _source(client, stages, mapping):
    """moto would call Lambda for it, which it has in Docker: the tests' own pollers do what it says."""
    client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = mapping["EventSourceArn"].rpartition(":")[2]
    return Source(queue=queue, stage=stages[mapping["FunctionArn"]], batch=mapping["BatchSize"])
