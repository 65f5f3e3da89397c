"""A whole plane in this process on Google's emulators: real stages, called as Pub/Sub and Cloud Scheduler call them."""

import base64
import contextlib
import dataclasses

from tests.google import plane
from tests.google.cloud_tasks import cloud_tasks, do_due, next_due
from tests.google.secret_manager import secret_manager
from tests.memory_plane import MemoryPlane, OneCluster
from werkzeug.test import EnvironBuilder

from penstock.adapters.clock.memory import SimulatedClock
from penstock.wiring import Runtime, functions, load_pipeline, settings_from


@contextlib.contextmanager
def services():
    """What a plane on Google Cloud stands on here; ``environment`` leads to it, with a project of the tests."""
    with contextlib.ExitStack() as stack:
        bases = {name: stack.enter_context(make()) for name, make in EMULATORS.items()}
        tasks = stack.enter_context(cloud_tasks(by_clock=True))
        secrets = stack.enter_context(secret_manager())
        environment = {
            "PENSTOCK_BACKEND": "google",
            "GOOGLE_CLOUD_PROJECT": plane.PROJECT,
            "PENSTOCK_GOOGLE_REGION": "europe-west3",
            "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
            "PENSTOCK_GOOGLE_PREFIX": "plane-1",
            "PENSTOCK_GOOGLE_TASKS_ACCOUNT": f"plane-1-tasks@{plane.PROJECT}.iam.gserviceaccount.com",
            **bases,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": tasks.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": secrets.base,
        }
        names = settings_from(environment).google
        plane.request("POST", f"{names.endpoints.storage}/storage/v1/b?project={plane.PROJECT}", {"name": names.bucket})
        yield Services(environment, names, tasks)


EMULATORS = {
    "PUBSUB_EMULATOR_HOST": plane.pubsub,
    "FIRESTORE_EMULATOR_HOST": plane.firestore,
    "STORAGE_EMULATOR_HOST": plane.storage,
}


@dataclasses.dataclass(frozen=True)
class Services:
    """``tasks``: the loopback Cloud Tasks."""

    environment: dict
    names: object
    tasks: object


@contextlib.contextmanager
def emptied(on):
    """Its topics and subscriptions, gone afterwards with all records."""
    plane.make_topics(on.names, load_pipeline())
    try:
        yield on
    finally:
        plane.drop_topics(on.names)
        plane.drop_records(on.names.endpoints.firestore, on.names)
        on.tasks.waiting.clear()


class GooglePlane(MemoryPlane):
    """Bus, state, storage and secrets on the emulators; pulls what Pub/Sub would push, and does what Cloud Tasks would."""

    def __init__(self, on):
        super().__init__()
        self.on, self.names, self.clock = on, on.names, SimulatedClock()
        instead = {
            "clock": lambda: self.clock,
            "clusters": lambda: OneCluster(self.cluster),
            "git": lambda: self.git,
            "notifier": lambda: self.notifier,
            "telemetry": lambda: self.telemetry,
        }
        self.runtime = Runtime(settings_from(on.environment), instead=instead)
        self.bus = self.runtime.bus
        self.state, self.storage, self.secrets = (self.runtime.port(n) for n in ("state", "storage", "secrets"))
        self.deps = dataclasses.replace(
            self.deps, clock=self.clock, state=self.state, storage=self.storage, secrets=self.secrets
        )
        self.apply_plane()

    def settle(self, *, seconds=120.0, most=2000):
        """As in memory, but the clock goes on to what is due next: each look at a subscription is a request."""
        end = self.clock.now().timestamp() + seconds
        for _ in range(most):
            if self.step() or do_due(self.on.tasks, self.clock.now()):
                continue
            wait = next_due(self.on.tasks) - self.clock.now().timestamp()
            if self.clock.now().timestamp() + wait > end:
                return
            self.clock.advance(max(wait, 0.01))
        raise AssertionError(f"does not settle: {len(self.on.tasks.waiting)} tasks wait")

    def step(self):
        """Whether any stage got anything: its topics, or what others gave up."""
        heard = [(stage.name, topic) for stage in self.pipeline.queues() for topic in stage.subscribes]
        heard += [("tick", f"{stage.name}-dead") for stage in self.pipeline.queues()]
        return any(self.hear(stage, topic) for stage, topic in heard)

    def hear(self, stage, topic):
        """Push what a subscription holds to its function, as Pub/Sub does; acknowledged by its answer."""
        subscription = self.names.subscription(stage, topic)
        url = f"{self.names.endpoints.pubsub}/v1/{subscription}"
        pulled = plane.request("POST", f"{url}:pull", {"maxMessages": 10, "returnImmediately": True})
        received = pulled.get("receivedMessages", [])
        for one in received:
            answer = self.call(stage, {"message": one["message"], "subscription": subscription, "deliveryAttempt": 1})
            if answer.status_code == 204:
                plane.request("POST", f"{url}:acknowledge", {"ackIds": [one["ackId"]]})
            else:
                body = {"ackIds": [one["ackId"]], "ackDeadlineSeconds": 0}
                plane.request("POST", f"{url}:modifyAckDeadline", body)
        return bool(received)

    def call(self, stage, body):
        """A function's answer to one POST."""
        request = EnvironBuilder(method="POST", json=body).get_request()
        made = functions.schedule_function if self.pipeline.stage(stage).trigger == "schedule" else functions.topic_function
        return made(stage, request)

    def publish_dead(self, stage, data):
        """What Pub/Sub does with a message that was never answered."""
        url = f"{self.names.endpoints.pubsub}/v1/{self.names.dead_topic(stage)}:publish"
        plane.request("POST", url, {"messages": [{"data": base64.b64encode(data).decode()}]})

    def tick(self):
        assert self.call("tick", {}).status_code == 204, self.telemetry.named("stage finished")[-1]
