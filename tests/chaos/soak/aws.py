"""The deployed shape on moto: every stage as two processes of AWS's own runtime client, each with its own credentials.

Topics, queues and what else can be made there are made as in tests/aws/test_deployed.py. Pollers do what event source
mappings do, with a visibility that is shorter than the queues' own, or what was killed would come again after an hour.
"""

import base64
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.exceptions
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from tests.aws import events
from tests.aws.functions import Function, FunctionError
from tests.aws.made import Source, made
from tests.aws.plane import NAMES
from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.soak.deployed import DeployedPlane, away
from tests.chaos.soak.front import DOUBLED, DOUBLED_LATER, LATER, LOST, PATIENCE, UNHEARD
from tests.chaos.soak.plane import Accident
from tests.chaos.soak.weather import Weather
from tests.chaos.soak.world import World
from tests.package import bundles

from penstock.adapters.aws.clients import Clients
from penstock.wiring import Runtime, settings_from

MOST = 0.2
THROTTLED = "throttled"
MESSAGES = {DOUBLED: 5, DOUBLED_LATER: 4, UNHEARD: 2, LOST: 2, THROTTLED: 3}
TRY_AGAIN = "[ERROR] Transient: stage tick "
VISIBILITY = 30
"""Seconds until a message comes again that nobody has deleted."""


class Lambda:
    """See Instance: AWS's runtime interface client, which takes one event at a time."""

    def __init__(self, stage: str, log: Path) -> None:
        self.stage, self.log, self.environment = stage, log, dict[str, str]()
        self._root, self._client = bundles.made("aws").root, _runtime(log.parent)
        self.up, self._function = False, None

    def start(self) -> None:
        """See Instance. It takes an event as soon as it can."""
        self.log.touch()
        self._function = Function(self._root, self._client, self.stage, self.environment, self.log)
        self.up = True

    def invoke(self, event: Mapping[str, Any], seconds: float) -> Any:
        """Raises FunctionError where it failed or was killed."""
        if self._function is None:
            raise FunctionError("it was killed just now")
        return self._function.invoke(event, seconds=seconds)

    def kill(self) -> None:
        """See Instance."""
        self.up = False
        if self._function is not None:
            self._function.close()

    def stop(self) -> bool:
        """See Instance: Lambda gives no notice to a function without extensions."""
        self.kill()
        return False


def _runtime(folder: Path) -> Path:
    """Where the runtime client is, and nothing else."""
    place = folder / "runtime"
    if not place.exists():
        place.mkdir()
        bundles.runtime(place)
    return place


class Poller:
    """An event source mapping. ``weather``: what becomes of messages; ``loses``: whether they may be lost."""

    def __init__(self, source: Source, plane: "AwsPlane") -> None:
        self.source, self.plane, self.loses = source, plane, source.stage != "notify"
        self.away, self.happened, self._later = False, list[str](), list[threading.Timer]()
        self._chance, self._stage = random.Random(source.stage), plane.pipeline.stage(source.stage)

    def run(self, stopping: threading.Event) -> None:
        sqs = Clients(NAMES.region).client("sqs")
        url = sqs.get_queue_url(QueueName=self.source.queue)["QueueUrl"]
        asked = {
            "QueueUrl": url,
            "MaxNumberOfMessages": self.source.batch,
            "WaitTimeSeconds": 1,
            "VisibilityTimeout": VISIBILITY,
            "AttributeNames": ["All"],
        }
        while not stopping.wait(0.01):
            with suppress(botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                if messages := sqs.receive_message(**asked).get("Messages", ()):
                    self._batch(sqs, url, messages)

    def calm(self) -> None:
        self.away = False
        for timer in self._later:
            timer.cancel()
        self._later.clear()

    def _batch(self, sqs: Any, url: str, messages: list[Any]) -> None:
        batch = [(m["Body"], m["ReceiptHandle"], int(m["Attributes"]["ApproximateReceiveCount"])) for m in messages]
        event = events.sqs(*batch, stage=self._stage.name)
        fate = THROTTLED if self.away else self.plane.messages("POST", self.source.queue)
        if fate == LOST and not self.loses:
            fate = ""
        if fate:
            self.happened.append(fate)
        if fate == THROTTLED:
            return
        if fate in (DOUBLED, DOUBLED_LATER):
            seconds = 0.0 if fate == DOUBLED else self._chance.choice(LATER)
            timer = threading.Timer(seconds, self._invoke, [event])
            timer.daemon = True
            self._later.append(timer)
            timer.start()
        done = list(event["Records"]) if fate == LOST else self._invoke(event)
        for record, (_, receipt, _) in zip(event["Records"], batch, strict=True):
            if record in done and fate != UNHEARD:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)

    def _invoke(self, event: dict[str, Any]) -> list[Any]:
        """The records that are done with."""
        try:
            answer = self.plane.invoke(self._stage.name, event, self._stage.timeout)
        except FunctionError:
            return []
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        return [each for each in event["Records"] if each["messageId"] not in failed]


class AwsPlane(DeployedPlane):
    """See Plane."""

    def __init__(self, of: World, seed: str) -> None:
        super().__init__(of, "aws", Lambda)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # of each request a line
        of.stack.enter_context(one_at_a_time())
        self.made = of.stack.enter_context(made(self.folder))
        self.runtime = Runtime(settings_from(self.made.shell))
        self.clients = Clients(NAMES.region)
        base = self.clients.client("sqs").meta.endpoint_url
        self.stores, self.notified = Weather(seed, "stores", MOST), Weather(seed, "notify's records", MOST)
        self.messages = Weather(seed, "messages", 0.3, MESSAGES)
        self.proxies = {
            each: of.stack.enter_context(FaultProxy(base, each).running()) for each in (self.stores, self.notified)
        }
        for stage, given in self.made.environments.items():
            proxy = self.proxies[self.notified if stage == "notify" else self.stores]
            keys = {"AWS_ACCESS_KEY_ID": f"key-of-{stage}", "AWS_SECRET_ACCESS_KEY": f"secret-of-{stage}"}
            self.give(stage, {**given, **keys, "AWS_REGION": NAMES.region, "AWS_ENDPOINT_URL": proxy.url})
        self.pollers = [Poller(each, self) for each in self.made.sources]
        self.accidents |= {
            "stage away": Accident(weight=2, happens=self._stage_away),
            "store away": Accident(weight=4, happens=self._store_away),
        }

    def start(self) -> None:
        """See Plane."""
        super().start()
        stopping = threading.Event()
        self.world.stack.callback(stopping.set)
        for poller in self.pollers:
            for _ in self.pools[poller.source.stage].instances:
                threading.Thread(target=poller.run, args=(stopping,), daemon=True).start()

    def invoke(self, stage: str, event: Mapping[str, Any], seconds: float) -> Any:
        """Raises FunctionError, where nobody is free, too."""
        with self.pools[stage].one(PATIENCE) as instance:
            if not isinstance(instance, Lambda):
                raise FunctionError("nobody is free")
            return instance.invoke(event, seconds)

    def ask(self, stage: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """See Plane: as a function URL hands a request on."""
        path, _, query = path.partition("?")
        given = {name.lower(): value for name, value in {"content-type": "application/json", **headers}.items()}
        try:
            answer = self.invoke(stage, events.function_url(method, path, headers=given, body=body, query=query), 60)
        except FunctionError:
            return 0, b""
        text = answer.get("body", "")
        return answer["statusCode"], base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()

    def tick(self) -> None:
        """See DeployedPlane."""
        (stage,) = self.made.scheduled
        with suppress(FunctionError):
            self.invoke(stage, events.schedule("aws.events"), 60)

    def logs(self) -> Iterator[tuple[str, str]]:
        """See Plane. That tick asks for another try is how a function that EventBridge calls says so.

        The runtime client breaks the lines of a traceback by carriage returns.
        """
        for name, text in super().logs():
            yield name, "\n".join(line for line in text.split("\n") if not line.startswith(TRY_AGAIN))

    def weather(self) -> list[Weather]:
        """See Plane."""
        return [self.stores, self.notified, self.messages]

    def calm(self) -> None:
        """See Plane."""
        for poller in self.pollers:
            poller.calm()
        self.excused += [(at - 15, at + 15) for at in self.notified.at]
        self.notified.at.clear()

    def faults(self) -> int:
        """See Plane."""
        return sum(len(each.happened) for each in [*self.proxies.values(), *self.pollers])

    def busy(self) -> str:
        """See Plane. Looked at twice: what was received is on its way to a function for a moment."""
        found = self._busy()
        time.sleep(0.2)
        return found or self._busy()

    def _busy(self) -> str:
        counts = {each.stage: self._due(each) for each in self.made.sources}
        return "; ".join([*(f"{stage}: {number}" for stage, number in counts.items() if number), *self.working()])

    def _due(self, source: Source) -> int:
        """Messages that could be received now: neither put off, nor hidden since they were tried a moment ago."""
        sqs, asked = self.clients.client("sqs"), ["ApproximateNumberOfMessages"]
        url = sqs.get_queue_url(QueueName=source.queue)["QueueUrl"]
        return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"][asked[0]])

    def _stage_away(self, chance: random.Random, _resting: Collection[str]) -> str:
        poller = chance.choice(self.pollers)
        poller.away = True
        time.sleep(chance.choice((2.0, 6.0)))
        poller.away = False
        return f"{poller.source.stage} was throttled"

    def _store_away(self, chance: random.Random, _resting: Collection[str]) -> str:
        return away(chance.choice([self.stores, self.notified]), chance)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """moto looks at a condition and writes, with nothing that keeps another request from writing in between."""
    answer: Callable[..., Any] = DomainDispatcherApplication.__call__
    lock = threading.Lock()

    def alone(self: Any, environ: Any, start_response: Any) -> Any:
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            with lock:
                return answer(self, environ, start_response)
        return answer(self, environ, start_response)

    with mock.patch.object(DomainDispatcherApplication, "__call__", alone):
        yield
