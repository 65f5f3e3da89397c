"""A plane in two regions on moto: what is a cluster's is written in its region and nowhere else."""

import hashlib
import hmac
import json

import pytest
from tests.aws import events
from tests.aws.plane import ENVIRONMENT, NAMES, in_process, make_bucket, make_queues, make_table
from tests.regional_plane import RegionalPlane, document, mentions, woken

from penstock.adapters.aws.clients import Clients
from penstock.adapters.clock.memory import SimulatedClock
from penstock.cli.plane import change_plane
from penstock.core.errors import Refused, Terminal
from penstock.core.records import ReceiverRecord
from penstock.core.secrets.names import API_TOKEN
from penstock.wiring import lambda_functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once

HOME, FAR = NAMES.region, "us-east-2"
REGIONS = {"PENSTOCK_AWS_HOME_REGION": HOME, "PENSTOCK_AWS_REGIONS": FAR}
READS = ("get_", "query", "scan", "batch_get", "list_", "receive_", "describe_", "transact_get")
INDEX = "receiver/"


class Writes:
    """(region, service, operation, parameters) of each request that is no read."""

    def __init__(self, monkeypatch):
        self.made = []
        call = Clients.call

        def spied(clients, service, operation, resource, parameters, **more):
            if not operation.startswith(READS):
                self.made.append((clients._region, service, operation, parameters))
            return call(clients, service, operation, resource, parameters, **more)

        monkeypatch.setattr(Clients, "call", spied)

    def naming(self, cluster, region):
        """Those of a region that name a cluster, without the home region's index and Plane."""
        return [
            (operation, parameters)
            for where, _, operation, parameters in self.made
            if where == region and mentions(parameters, cluster) and not _of_the_plane(parameters)
        ]


def _of_the_plane(parameters):
    key = (parameters.get("Item") or parameters.get("Key") or {}).get("k", {}).get("S", "")
    return key == "plane" or key.startswith(INDEX)


def hand(plane, region, stage):
    """What Lambda's poller does in a region."""
    bus = plane.runtimes[region].bus
    records = bus._take(f"plane-1-{stage}", count=1, visibility=600, wait=0)
    lambda_functions.runtime = Once(lambda: plane.runtimes[region])
    for record in records:
        event = events.sqs((record["Body"], record["ReceiptHandle"], 1), stage=stage)
        if not lambda_functions.topic_handler(stage)(event, events.Context())["batchItemFailures"]:
            bus._delete(f"plane-1-{stage}", record["ReceiptHandle"])
    return bool(records)


@pytest.fixture
def plane(monkeypatch):
    clock = SimulatedClock()
    with in_process(clock):
        for region in (HOME, FAR):
            clients, names = Clients(region), settings_from({**ENVIRONMENT, **REGIONS}).aws.at(region)
            make_queues(clients, load_pipeline(), names=names)
            make_table(clients, names=names)
            make_bucket(clients, names=names)
        monkeypatch.setattr(lambda_functions, "runtime", lambda_functions.runtime)
        environments = {region: {**ENVIRONMENT, **REGIONS, "AWS_REGION": region} for region in (HOME, FAR)}
        made = RegionalPlane(environments, HOME, clock, hand)
        made.writes = Writes(monkeypatch)
        change_plane(made.runtimes[HOME], document(FAR))
        made.commit()
        made.runtimes[HOME].publish([woken()])
        made.settle()
        yield made


def at_home(plane, handler, event):
    lambda_functions.runtime = Once(lambda: plane.runtimes[HOME])
    return handler(event, events.Context())


def push(plane, token=b"hook-token"):
    (index,) = plane.runtimes[HOME].port("state").list("receiver/")
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-hub-signature-256": "sha256=" + hmac.new(token, b"{}", hashlib.sha256).hexdigest(),
    }
    path = f"/hook/{ReceiverRecord.from_value(index.value).digest}"
    event = events.function_url(path=path, headers=headers, body=b"{}")
    return at_home(plane, lambda_functions.http_handler("webhook"), event)["statusCode"]


def ask(plane, method, path, body=b""):
    plane.runtimes[HOME].port("secrets").put(API_TOKEN, {"token": b"t" * 32}, owner="uid")
    headers = {"authorization": f"Bearer {'t' * 32}", "content-type": "application/json"}
    event = events.function_url(method, path, headers=headers, body=body)
    return at_home(plane, lambda_functions.http_handler("api"), event)


def test_everything_of_a_cluster_is_written_in_its_region_alone(plane):
    """First sync, its own source, a delivery, a request of the api, a tick: and then each write that there was."""
    assert plane.config_map("near", "a") == plane.config_map("far", "a") == {"x": "1"}
    assert plane.config_map("far", "b") == {"x": "1"}
    assert push(plane) == 202
    assert push(plane, b"guessed") == 401
    body = json.dumps({"cluster": "far", "kind": "Kustomization", "namespace": "flux-system", "name": "app"}).encode()
    asked = ask(plane, "POST", "/reconcile", body)
    assert asked["statusCode"] == 202
    plane.settle()
    assert ask(plane, "GET", asked["headers"]["location"])["statusCode"] == 200
    plane.commit(**{"app/a.yaml": plane.files["app/a.yaml"].replace("'1'", "'2'")})
    plane.runtimes[HOME].publish([woken()])
    plane.settle()
    plane.clock.advance(2 * 86_400)
    at_home(plane, lambda_functions.schedule_handler("tick"), events.schedule())
    plane.settle()
    assert plane.config_map("near", "a") == plane.config_map("far", "a") == {"x": "2"}
    assert plane.writes.naming("far", HOME) == []
    assert plane.writes.naming("near", FAR) == []
    kinds = {operation for operation, _ in plane.writes.naming("far", FAR)}
    assert kinds >= {"put_item", "publish_batch", "create_secret"}
    assert {service for where, service, *_ in plane.writes.made if where == FAR} >= {
        "dynamodb",
        "s3",
        "secretsmanager",
        "sns",
    }


def test_what_crosses_is_an_index_of_pointers(plane):
    crossing = [
        parameters["Item"]
        for where, _, operation, parameters in plane.writes.made
        if where == HOME and operation == "put_item" and parameters["Item"]["k"]["S"].startswith(INDEX)
    ]
    assert len(crossing) == 1
    assert "hook-token" not in json.dumps(crossing)
    assert set(json.loads(crossing[0]["j"]["S"])) == set(ReceiverRecord.__dataclass_fields__) | {"format"}


def test_lists_over_all_clusters_are_those_of_all_regions(plane):
    state = plane.runtimes[HOME].port("state")
    clusters = {record.key.split("/")[1] for record in state.list("status/")}
    assert clusters == {"-", "near", "far"}
    assert len(plane.runtimes[HOME].port("storage").digests()) == 2
    assert [record.key for record in state.list("")] == sorted({record.key for record in state.list("")})


def test_a_cluster_that_has_left_the_plane_is_forgotten_in_its_region(plane):
    without = document(FAR)
    del without["spec"]["clusters"][1]
    change_plane(plane.runtimes[HOME], without)
    far = plane.runtimes[FAR].settings.aws.at(FAR)
    items = Clients(FAR).client("dynamodb").scan(TableName=far.table)["Items"]
    assert [item["k"]["S"] for item in items if item["k"]["S"].startswith(("object/far", "status/far"))] == []


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("ap-south-1", f"is 'ap-south-1': this plane has {HOME}, {FAR}"),
        ("", f"cluster far is in {FAR}, where its records are"),
        (HOME, f"cluster far is in {FAR}, where its records are"),
    ],
)
def test_a_region_that_the_plane_does_not_have_or_a_move_is_refused(plane, region, said):
    plane.writes.made.clear()
    with pytest.raises(Refused, match=said):
        change_plane(plane.runtimes[HOME], document(region))
    assert plane.writes.made == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"PENSTOCK_AWS_REGIONS": HOME},
        {"PENSTOCK_AWS_REGIONS": f"{FAR},{FAR}"},
        {"PENSTOCK_AWS_REGIONS": "us east"},
        {"PENSTOCK_AWS_REGIONS": FAR, "AWS_REGION": "ap-south-1"},
    ],
)
def test_a_setting_that_cannot_be_is_named(wrong):
    with pytest.raises(Terminal, match="PENSTOCK_AWS_REGIONS"):
        settings_from({**ENVIRONMENT, **REGIONS, **wrong})
