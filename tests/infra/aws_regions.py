"""A plane in two regions on moto: each region's functions with their settings of Terraform."""

import contextlib

from tests.aws import events
from tests.aws.plane import ENVIRONMENT, NAMES, in_process, make_bucket, make_queues, make_table
from tests.regional_plane import RegionalPlane

from penstock.adapters.aws.clients import Clients
from penstock.adapters.clock.memory import SimulatedClock
from penstock.wiring import lambda_functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once

HOME, FAR = NAMES.region, "us-east-2"
IDENTITY = {name: ENVIRONMENT[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


@contextlib.contextmanager
def regional_plane(models, calls):
    """Everything that Terraform makes in both regions, and the functions there; what they call is counted as theirs.

    ``models``: by region, outputs of aws/model.
    """
    environments = {
        region: {**IDENTITY, "AWS_REGION": region, **model["functions"]["fetch"]["environment"]}
        for region, model in models.items()
    }
    clock = SimulatedClock()

    def counted(plane, region, stage):
        calls.at = "" if region == HOME else f"@{region}"
        try:
            return hand(plane, region, stage)
        finally:
            calls.at = ""

    with in_process(clock):
        for region, environment in environments.items():
            clients, names = Clients(region), settings_from(environment).aws.at(region)
            make_queues(clients, load_pipeline(), names=names)
            make_table(clients, names=names)
            make_bucket(clients, names=names)
        yield RegionalPlane(environments, HOME, clock, counted)


def hand(plane, region, stage):
    """What Lambda's poller does in a region with one message."""
    bus, queue = plane.runtimes[region].bus, f"plane-1-{stage}"
    records = bus._take(queue, count=1, visibility=6 * plane.pipeline.stage(stage).timeout, wait=0)
    lambda_functions.runtime = Once(lambda: plane.runtimes[region])
    for record in records:
        attempt = int(record["Attributes"]["ApproximateReceiveCount"])
        event = events.sqs((record["Body"], record["ReceiptHandle"], attempt), stage=stage)
        if not lambda_functions.topic_handler(stage)(event, events.Context())["batchItemFailures"]:
            bus._delete(queue, record["ReceiptHandle"])
    return bool(records)


def settle(plane, seconds=600.0):
    """Until nothing is left, and nothing is due so soon."""
    end = plane.clock.now().timestamp() + seconds
    while True:
        plane.settle()
        waiting = any(
            depth for runtime in plane.runtimes.values() for depth in runtime.bus._regions.local().depth().values()
        )
        if not waiting or plane.clock.now().timestamp() >= end:
            return
        plane.clock.advance(5)


def tick(plane):
    """One call of tick."""
    lambda_functions.runtime = Once(lambda: plane.runtimes[HOME])
    lambda_functions.schedule_handler("tick")(events.schedule(), events.Context())


def tell_of_lost(plane, stage, data):
    """What that stage's queue of the far region gave up by itself, and tick finds."""
    local = plane.runtimes[FAR].bus._regions.local()
    local._send(local._dead(stage), data.decode(), {}, {})
    tick(plane)
    assert {letter.error for letter in local.dead_letters() if letter.stage == stage}
