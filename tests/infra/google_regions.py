"""A whole story of a plane in two regions on the emulators: each region's functions with their settings of Terraform."""

import base64
import contextlib

from tests.google import plane as google
from tests.google.cloud_tasks import do_due, next_due
from tests.google.regional import hand
from tests.regional_plane import RegionalPlane
from werkzeug.test import EnvironBuilder

from penstock.adapters.clock.memory import SimulatedClock
from penstock.wiring import functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once

HOME, FAR = "europe-west3", "us-central1"


@contextlib.contextmanager
def regional_plane(on, model, calls):
    """Everything that Terraform makes in both regions, and the functions there; what they call is counted as theirs."""
    environments = {
        region: {**on.environment, **model["functions"][f"fetch{at}"]["environment"]}
        for region, at in ((HOME, ""), (FAR, f"@{FAR}"))
    }
    names = [settings_from(environment).google.at(region) for region, environment in environments.items()]
    for each in names:
        google.make_topics(each, load_pipeline())
        with contextlib.suppress(OSError):
            bucket = f"{each.endpoints.storage}/storage/v1/b?project={google.PROJECT}"
            google.request("POST", bucket, {"name": each.bucket})

    def counted(plane, region, stage):
        calls.at = "" if region == HOME else f"@{region}"
        try:
            return hand(plane, region, stage)
        finally:
            calls.at = ""

    plane = RegionalPlane(environments, HOME, SimulatedClock(), counted)
    plane.on = on
    try:
        yield plane
    finally:
        google.drop_topics(names[0])
        for each in names:
            google.drop_records(each.endpoints.firestore, each)
        on.tasks.waiting.clear()


def settle(plane, seconds=600.0):
    """Until nothing is left, and nothing is due so soon."""
    end = plane.clock.now().timestamp() + seconds
    while True:
        plane.settle()
        if do_due(plane.on.tasks, plane.clock.now()):
            continue
        wait = next_due(plane.on.tasks) - plane.clock.now().timestamp()
        if plane.clock.now().timestamp() + wait > end:
            return
        plane.clock.advance(max(wait, 0.01))


def tick(plane, body=None):
    """One call of tick: Cloud Scheduler's, or a push of a dead letter."""
    functions.runtime = Once(lambda: plane.runtimes[HOME])
    request = EnvironBuilder(method="POST", json=body or {}).get_request()
    assert functions.schedule_function("tick", request).status_code == 204


def tell_of_lost(plane, stage, data):
    """A push to tick of what that stage's function of the far region left undone."""
    names = settings_from(plane.environments[HOME]).google.at(FAR)
    message = {"data": base64.b64encode(data).decode(), "messageId": "1"}
    tick(plane, {"message": message, "subscription": names.lost_subscription("tick", stage)})
