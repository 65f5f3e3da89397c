"""What the soak of deployed functions rests on: its front loses, doubles and counts pushes as it says."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.chaos.soak import front, world
from tests.chaos.soak.front import DOUBLED, DOUBLED_LATER, LOST, UNHEARD, Front, Tally
from tests.chaos.soak.instance import FunctionsFramework, Pool

SUBSCRIPTIONS = {"plane-1-event": ["plane-1-notify-event"]}
PUSH = {"subscription": "projects/p/subscriptions/plane-1-notify-event", "message": {"messageId": "7", "data": ""}}


class Function(FunctionsFramework):
    """One whose process is a server of this test: ``attempts`` of what it was pushed; it answers ``status``."""

    def __init__(self):
        self.stage, self.log, self.environment = "notify", Path("none"), {}
        self.up, self.status, self.attempts, self.waits = True, 204, [], threading.Event()
        self.waits.set()
        function = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                function.attempts.append(body["deliveryAttempt"])
                function.waits.wait(10)
                self.send_response(function.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def functions():
    made = [Function(), Function()]
    yield made
    for each in made:
        each.server.shutdown()
        each.server.server_close()


class Pushed:
    """A front, and one message that was published."""

    def __init__(self, functions):
        self.fate, self.tally, self.pool = "", Tally(), Pool(functions)
        self.front = Front("notify", self.pool, lambda *_: self.fate, self.tally)
        self.tally.heard("POST", "/v1/projects/p/topics/plane-1-event:publish", b'{"messageIds": ["7"]}')

    def push(self, fate=""):
        self.fate = fate
        return world.ask(self.front.port, "POST", "/", json.dumps(PUSH).encode())[0]

    @property
    def left(self):
        return len(self.tally.left(SUBSCRIPTIONS))


@pytest.fixture
def pushed(functions):
    found = Pushed(functions)
    yield found
    found.front.close()


def attempts(functions):
    return sorted(each for function in functions for each in function.attempts)


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_message_is_left_until_its_stage_has_acknowledged_it(pushed, functions):
    for each in functions:
        each.status = 503
    assert (pushed.left, pushed.push(), pushed.left) == (1, 503, 1)
    for each in functions:
        each.status = 204
    assert (pushed.push(), pushed.left) == (204, 0)
    assert attempts(functions) == [1, 2]


def test_an_answer_that_is_not_heard_acknowledges_nothing(pushed, functions):
    assert (pushed.push(UNHEARD), pushed.left) == (0, 1)
    assert (pushed.push(), pushed.left) == (204, 0)
    assert attempts(functions) == [1, 2]


def test_what_is_lost_was_delivered_to_nobody_and_does_not_come_again(pushed, functions):
    assert (pushed.push(LOST), pushed.left, attempts(functions)) == (204, 0, [])
    pushed.front.loses = False
    assert (pushed.push(LOST), attempts(functions)) == (204, [1])


def test_what_is_delivered_twice_is_with_two_instances_at_once(pushed, functions):
    for each in functions:
        each.waits.clear()
    threading.Thread(target=pushed.push, args=(DOUBLED,), daemon=True).start()
    until(lambda: [len(each.attempts) for each in functions] == [1, 1])
    assert pushed.pool.working()
    for each in functions:
        each.waits.set()
    until(lambda: not pushed.pool.working())


def test_what_was_put_off_does_not_come_once_it_is_calm(pushed, functions, monkeypatch):
    monkeypatch.setattr(front, "LATER", (3600.0,))
    pushed.push(DOUBLED_LATER)
    (timer,) = pushed.front._later
    pushed.front.calm()
    timer.join(20)
    assert not timer.is_alive()
    assert attempts(functions) == [1]


def test_an_instance_that_is_down_gets_nothing_and_where_all_are_a_push_is_refused(pushed, functions, monkeypatch):
    monkeypatch.setattr(front, "PATIENCE", 0.05)
    functions[0].up = False
    assert [pushed.push() for _ in range(4)] == [204] * 4
    assert functions[0].attempts == []
    functions[1].up = False
    assert pushed.push() == 429
