"""What stands between the world and a function's instances, as Cloud Run does, and what Pub/Sub may do to a push on the way."""

import contextlib
import http.client
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chaos.fault_proxy import CUT_BEFORE
from tests.chaos.soak.instance import FunctionsFramework, Pool
from tests.chaos.soak.weather import Weather

DOUBLED, DOUBLED_LATER, UNHEARD, LOST = "delivered twice", "delivered again later", "answer not heard", "lost"
PUSHES = {DOUBLED: 5, DOUBLED_LATER: 4, UNHEARD: 2, LOST: 2, "503": 2, CUT_BEFORE: 1}
LATER = (1.0, 5.0, 20.0)
"""Seconds."""
PATIENCE = 10.0
"""Seconds that a request waits for an instance, as Cloud Run's do."""

Answer = tuple[int, Mapping[str, str], bytes]
CUT: Answer = (0, {}, b"")
"""None, and the connection is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """What Pub/Sub calls a message that it pushes. ``subscription``: the end of its name."""

    subscription: str
    message: str

    @classmethod
    def of(cls, body: bytes) -> "Push | None":
        try:
            value = json.loads(body)
            return cls(subscription=value["subscription"].rpartition("/")[2], message=value["message"]["messageId"])
        except (ValueError, LookupError, TypeError):
            return None


class Tally:
    """Which messages were published, which of them each subscription's stage has acknowledged, and how often it has not."""

    def __init__(self) -> None:
        self.published, self.done = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        self.refused = Counter[Push]()

    def heard(self, method: str, path: str, answer: bytes) -> None:
        """For the proxy in front of Pub/Sub."""
        topic, _, verb = path.rpartition("/")[2].partition(":")
        if (method, verb) == ("POST", "publish"):
            self.published[topic] |= set(json.loads(answer).get("messageIds", ()))

    def left(self, subscriptions: Mapping[str, Iterable[str]]) -> list[str]:
        """Deliveries that are yet to come. ``subscriptions``: of each topic, by the ends of their names."""
        return [
            f"{each}: {message}, refused {self.refused[Push(subscription=each, message=message)]} times"
            for topic, found in subscriptions.items()
            for each in found
            for message in sorted(self.published[topic] - self.done[each])
        ]


class Front:
    """A stage's address. A request for which no instance gets free is refused.

    ``weather``: what becomes of pushes; ``loses``: whether this stage's may be lost; ``away``: nobody is there.
    """

    def __init__(self, stage: str, pool: Pool, weather: Weather, tally: Tally) -> None:
        self.stage, self.pool, self.weather, self.tally = stage, pool, weather, tally
        self.loses, self.away, self.seconds = True, False, 60.0
        self.happened = list[str]()
        self._chance, self._later = random.Random(f"{stage} front"), list[threading.Timer]()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"front": self}))
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.calm()
        self._http.shutdown()
        self._http.server_close()

    def calm(self) -> None:
        self.away = False
        for timer in self._later:
            timer.cancel()
        self._later.clear()

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What whoever asks hears. The emulator counts no attempts: a push says here how many there were, as Pub/Sub's do."""
        push = Push.of(body)
        if push is None:
            return (503, {}, b"") if self.away else self._deliver(method, path, headers, body)
        attempt = self.tally.refused[push] + 1
        answer = self._push(
            method, path, headers, json.dumps({**json.loads(body), "deliveryAttempt": attempt}).encode()
        )
        if 200 <= answer[0] < 300:
            self.tally.done[push.subscription].add(push.message)
        else:
            self.tally.refused[push] += 1
        return answer

    def _push(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        fate = self.weather(method, path)
        if fate == LOST and not self.loses:
            fate = ""
        if fate:
            self.happened.append(fate)
        if self.away or fate == "503":
            return 503, {}, b""
        if fate == CUT_BEFORE:
            return CUT
        again = (lambda: self._deliver(method, path, headers, body)) if fate in (DOUBLED, DOUBLED_LATER) else None
        if again is not None:
            self._put_off(0.0 if fate == DOUBLED else self._chance.choice(LATER), again)
        answer = (204, {}, b"") if fate == LOST else self._deliver(method, path, headers, body)
        return CUT if fate == UNHEARD else answer

    def _put_off(self, seconds: float, again: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, again)
        timer.daemon = True
        self._later.append(timer)
        timer.start()

    def _deliver(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self.pool.one(PATIENCE) as instance:
            if not isinstance(instance, FunctionsFramework):
                return 429, {}, b""
            connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=self.seconds)
            try:
                sent = {**headers, "Connection": "close", "Content-Length": str(len(body))}
                connection.request(method, path, body, sent)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            except TimeoutError:
                return 504, {}, b""
            except (OSError, http.client.HTTPException):  # killed in the middle
                return 503, {}, b""
            finally:
                connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def log_message(self, *_: Any) -> None: ...

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("connection", "expect", "content-length")
        }
        status, headers, data = self.front.take(self.command, self.path, sent, body)
        if not status:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.close()
            return
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status != 204:
            self.wfile.write(data)


for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{verb}", _Handler._any)
