"""A whole story of a plane in two regions on the emulators: each region's functions with their settings of Terraform."""

import base64
import contextlib
import hashlib
import hmac
import json

from tests.google import plane as google
from tests.google.cloud_tasks import do_due, next_due
from tests.google.regional import hand
from tests.regional_plane import RegionalPlane, woken
from werkzeug.test import EnvironBuilder

from penstock.adapters.clock.memory import SimulatedClock
from penstock.core.http import HttpRequest
from penstock.core.messages import PLANE
from penstock.core.records import ReceiverRecord, status_key
from penstock.core.secrets.names import API_TOKEN
from penstock.stages.fetch import opened
from penstock.stages.reconcile import source
from penstock.wiring import functions, load_pipeline, settings_from
from penstock.wiring.lazy import Once

HOME, FAR = "europe-west3", "us-central1"
FLEET = status_key(PLANE, "GitRepository", "flux-system", "flux-system")


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


def wake(plane):
    """What a push to the fleet repository comes to."""
    plane.runtimes[HOME].publish([woken()])
    settle(plane)


def lose_artifacts(plane):
    """The buckets of both regions, emptied, and what functions had in memory of it."""
    storage = plane.runtimes[HOME].port("storage")
    for digest in storage.digests():
        storage.delete(digest)
    source.kept.clear()
    opened.kept.clear()


def fleet_record(plane):
    """What the home region knows of the fleet repository."""
    return plane.runtimes[HOME].port("state").get(FLEET).value


def restore(plane, value):
    """An older one, as a backup has it: clusters know a newer revision."""
    plane.runtimes[HOME].port("state").put(FLEET, value, expected=None)


def answered(plane, stage, method, path, headers, body=b""):
    """The answer of a function of home, when what it keeps of secrets is too old."""
    plane.clock.advance(61)
    path, _, query = path.partition("?")
    request = HttpRequest(method=method, path=path, query=query, headers=headers, body=body)
    return plane.runtimes[HOME].answer_http(stage, request)


def ask(plane, path, value=None):
    """The api's answer."""
    plane.runtimes[HOME].port("secrets").put(API_TOKEN, {"token": b"t" * 32}, owner="uid")
    headers = {"authorization": f"Bearer {'t' * 32}", "content-type": "application/json"}
    body = b"" if value is None else json.dumps(value).encode()
    return answered(plane, "api", "GET" if value is None else "POST", path, headers, body)


def tick(plane, body=None):
    """The status of one call of tick: Cloud Scheduler's, or a push of a dead letter."""
    functions.runtime = Once(lambda: plane.runtimes[HOME])
    request = EnvironBuilder(method="POST", json=body or {}).get_request()
    return functions.schedule_function("tick", request).status_code


def push(plane, token):
    """The statuses of the webhook's answers to a push, for each Receiver: all are of the far cluster."""
    index = plane.runtimes[HOME].port("state").list("receiver/")
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-hub-signature-256": "sha256=" + hmac.new(token, b"{}", hashlib.sha256).hexdigest(),
    }
    paths = [f"/hook/{ReceiverRecord.from_value(each.value).digest}" for each in index]
    return {answered(plane, "webhook", "POST", path, headers, b"{}").status for path in paths}


def tell_of_lost(plane, stage, data):
    """The status of tick's answer to a push of what that stage's function of the far region left undone."""
    names = settings_from(plane.environments[HOME]).google.at(FAR)
    message = {"data": base64.b64encode(data).decode(), "messageId": "1"}
    return tick(plane, {"message": message, "subscription": names.lost_subscription("tick", stage)})
