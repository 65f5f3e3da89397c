"""A plane on AWS (moto's server) and on Google Cloud (its emulators), its stages called as the provider calls functions.

Emulators run in processes of their own: what is told of the plane's own work holds none of theirs. Git and the cluster
are in memory.
"""

import base64
import contextlib
import dataclasses
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from tests.aws import events  # noqa: E402 - see above
from tests.aws import plane as aws  # noqa: E402 - see above
from tests.google import plane as google  # noqa: E402 - see above
from tests.google.cloud_tasks import cloud_tasks  # noqa: E402 - see above
from tests.google.secret_manager import secret_manager  # noqa: E402 - see above
from tests.memory_plane import MemoryPlane, OneCluster  # noqa: E402 - see above
from werkzeug.test import EnvironBuilder  # noqa: E402 - see above
from werkzeug.wrappers import Request  # noqa: E402 - see above

from penstock.adapters.aws.clients import Clients  # noqa: E402 - see above
from penstock.adapters.clock.system import SystemClock  # noqa: E402 - see above
from penstock.adapters.google.client import GoogleClient  # noqa: E402 - see above
from penstock.core.messages import Event, decode  # noqa: E402 - see above
from penstock.wiring import Runtime, functions, lambda_functions, load_pipeline, settings_from  # noqa: E402 - see above
from penstock.wiring.lazy import Once  # noqa: E402 - see above

CALLS: Counter[str] = Counter()
"""Requests to the provider by what they do, of all threads."""


@dataclasses.dataclass(kw_only=True, slots=True)
class Run:
    """What one call of a function took, in milliseconds.

    ``cpu``: of this process, right where one function is called at a time; ``wall``: with the emulators' answers.
    """

    stage: str
    cpu: float
    wall: float
    calls: int


class Cloud:
    """``environment``: of its functions. Subclasses take messages and call functions."""

    name = ""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.pipeline = environment, load_pipeline()
        self.runs: list[Run] = []
        self._lock = threading.Lock()

    def use(self, runtime: Runtime) -> None:
        """Functions run on this runtime from now on."""
        functions.runtime = lambda_functions.runtime = Once(lambda: runtime)

    def measured(self, stage: str, call: Callable[[], Any]) -> Any:
        """The answer of a function."""
        calls, wall, cpu = sum(CALLS.values()), time.perf_counter(), time.process_time()
        answer = call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        run = Run(stage=stage, cpu=cpu * 1000, wall=wall * 1000, calls=sum(CALLS.values()) - calls)
        with self._lock:
            self.runs.append(run)
        return answer

    def take(self, stage: str, most: int = 1) -> list[Any]:
        """Messages of a stage as the provider hands them over."""
        raise NotImplementedError

    def hand(self, stage: str, message: Any) -> bytes:
        """Call the function with a message, and delete it where that is done; our own envelope."""
        raise NotImplementedError

    def forget(self, stage: str, message: Any) -> None:
        """Delete a message without a run."""
        raise NotImplementedError

    def post(self, stage: str, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of an HTTP function's answer."""
        raise NotImplementedError

    def tick(self) -> None:
        """Call the schedule's function."""
        raise NotImplementedError

    def renew(self) -> None:
        """Forget all messages and records."""


class Aws(Cloud):
    """On moto's server."""

    name = "aws"

    def use(self, runtime: Runtime) -> None:
        super().use(runtime)
        self.bus = runtime.bus

    def take(self, stage: str, most: int = 1) -> list[Any]:
        return self.bus._take(f"plane-1-{stage}", count=min(10, most), visibility=600, wait=0)

    def hand(self, stage: str, message: Any) -> bytes:
        event = events.sqs((message["Body"], message["ReceiptHandle"], 1), stage=stage)
        handler = lambda_functions.topic_handler(stage)
        failed = self.measured(stage, lambda: handler(event, events.Context()))["batchItemFailures"]
        if not failed:
            self.forget(stage, message)
        return message["Body"].encode()

    def forget(self, stage: str, message: Any) -> None:
        self.bus._delete(f"plane-1-{stage}", message["ReceiptHandle"])

    def post(self, stage: str, path: str, headers: dict[str, str], body: bytes) -> int:
        event = events.function_url(path=path, headers=headers, body=body, method="POST" if body else "GET")
        handler = lambda_functions.http_handler(stage)
        return self.measured(stage, lambda: handler(event, events.Context()))["statusCode"]

    def tick(self) -> None:
        handler = lambda_functions.schedule_handler("tick")
        self.measured("tick", lambda: handler(events.schedule(), events.Context()))

    def renew(self) -> None:
        clients = Clients(aws.NAMES.region)
        google.request("POST", f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/reset")
        for make in (aws.make_table, aws.make_bucket):
            make(clients)
        aws.make_queues(clients, self.pipeline)


class Google(Cloud):
    """On the emulators of Pub/Sub and Firestore and on fake-gcs-server."""

    name = "google"

    def use(self, runtime: Runtime) -> None:
        super().use(runtime)
        self.names = runtime.settings.google

    def take(self, stage: str, most: int = 1) -> list[Any]:
        for topic in self.pipeline.stage(stage).subscribes:
            url = f"{self.names.endpoints.pubsub}/v1/{self.names.subscription(stage, topic)}"
            asked = {"maxMessages": most, "returnImmediately": True}
            if found := google.request("POST", f"{url}:pull", asked).get("receivedMessages"):
                return [{**each, "subscription": url} for each in found]
        return []

    def hand(self, stage: str, message: Any) -> bytes:
        body = {"message": message["message"], "subscription": "s", "deliveryAttempt": 1}
        request = Request(EnvironBuilder(method="POST", json=body).get_environ())
        answer = self.measured(stage, lambda: functions.topic_function(stage, request))
        if answer.status_code == 204:
            self.forget(stage, message)
        return base64.b64decode(message["message"]["data"])

    def forget(self, stage: str, message: Any) -> None:
        google.request("POST", f"{message['subscription']}:acknowledge", {"ackIds": [message["ackId"]]})

    def post(self, stage: str, path: str, headers: dict[str, str], body: bytes) -> int:
        method = "POST" if body else "GET"
        request = Request(EnvironBuilder(path=path, method=method, headers=headers, data=body).get_environ())
        return self.measured(stage, lambda: functions.http_function(stage, request)).status_code

    def tick(self) -> None:
        request = Request(EnvironBuilder(method="POST").get_environ())
        self.measured("tick", lambda: functions.schedule_function("tick", request))

    def renew(self) -> None:
        google.drop_records(self.names.endpoints.firestore, self.names)
        google.drop_topics(self.names)
        google.make_topics(self.names, self.pipeline)


class CloudPlane(MemoryPlane):
    """Bus, state, storage and secrets in a cloud. ``bus_only``: the bus alone. ``clusters``: instead of one."""

    def __init__(self, cloud: Cloud, *, bus_only: bool = False, clusters: Any = None, **more: Any) -> None:
        super().__init__(**more)
        self.cloud, self.clock = cloud, SystemClock()
        kept = {"state": self.state, "storage": self.storage, "secrets": self.secrets} if bus_only else {}
        instead = {
            **{name: (lambda port=port: port) for name, port in kept.items()},
            "clusters": lambda: clusters or OneCluster(self.cluster),
            "git": lambda: self.git,
            "notifier": lambda: self.notifier,
            "telemetry": lambda: self.telemetry,
        }
        self.runtime = Runtime(settings_from(cloud.environment), instead=instead)
        cloud.use(self.runtime)
        cloud.renew()
        self.bus = self.runtime.bus
        self.state, self.storage, self.secrets = (self.runtime.port(n) for n in ("state", "storage", "secrets"))
        self.deps = dataclasses.replace(
            self.deps, clock=self.clock, state=self.state, storage=self.storage, secrets=self.secrets
        )
        self.apply_plane()

    def step_stage(self, name: str) -> bool:
        found = self.cloud.take(name)
        for each in found:
            message = decode(self.cloud.hand(name, each)).message
            if isinstance(message, Event):
                self.events.append(message)
        return bool(found)

    def settle(self, *, seconds: float = 120.0, most: int = 100_000) -> None:
        """Until no message is left; what is delayed stays."""
        for _ in range(most):
            if not self.step():
                return


@contextlib.contextmanager
def on_aws() -> Iterator[Cloud]:
    """moto's server, in a process of its own."""
    port = google.free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with google.process(command, port), counted(Clients, "call", lambda service, operation: f"{service}:{operation}"):
        environment = {**aws.ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        os.environ.update(environment)
        yield Aws(environment)


@contextlib.contextmanager
def on_google() -> Iterator[Cloud]:
    """Emulators, each in a process of its own; Secret Manager and Cloud Tasks as loopback servers of this one."""
    with contextlib.ExitStack() as stack:
        tasks, secrets = stack.enter_context(cloud_tasks()), stack.enter_context(secret_manager())
        bases = [stack.enter_context(make()) for make in (google.pubsub, google.firestore, google.storage)]
        pubsub, firestore, storage = (base.removeprefix("http://") for base in bases)
        environment = {
            "PENSTOCK_BACKEND": "google",
            "GOOGLE_CLOUD_PROJECT": google.PROJECT,
            "PENSTOCK_GOOGLE_REGION": "europe-west3",
            "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
            "PENSTOCK_GOOGLE_PREFIX": "plane-1",
            "PENSTOCK_GOOGLE_TASKS_ACCOUNT": "tasks@penstock-test.iam.gserviceaccount.com",
            "PUBSUB_EMULATOR_HOST": pubsub,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "STORAGE_EMULATOR_HOST": storage,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": tasks.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": secrets.base,
        }
        url = f"http://{storage}/storage/v1/b?project={google.PROJECT}"
        google.request("POST", url, {"name": "acme-penstock"})
        stack.enter_context(counted(GoogleClient, "send", lambda _method, _url, act: act.permission))
        yield Google(environment)


@contextlib.contextmanager
def counted(kind: type, method: str, named: Callable[..., str]) -> Iterator[None]:
    """CALLS counts the calls of a method."""
    original = getattr(kind, method)

    def counting(self: Any, *arguments: Any, **more: Any) -> Any:
        CALLS[named(*arguments[: named.__code__.co_argcount])] += 1
        return original(self, *arguments, **more)

    setattr(kind, method, counting)
    try:
        yield
    finally:
        setattr(kind, method, original)
