"""What functions/<stage>/lambda_handler.py call: a handler for each kind of trigger on AWS Lambda.

The runtime is made at the first event and kept, so that a warm function reuses its connections. Nothing here needs
functions-framework, Flask or Werkzeug.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from penstock.core.errors import Terminal, Transient
from penstock.core.http import problem
from penstock.wiring.http import BODY_LIMIT, BODY_LIMITS
from penstock.wiring.lambda_http import TooLarge, answer_of, request_of
from penstock.wiring.lambda_sqs import run_batch, tell_of_lost
from penstock.wiring.lazy import Once
from penstock.wiring.runtime import Runtime, open_function

runtime: Once[Runtime] = Once(open_function)

SCHEDULERS = frozenset({"aws.events", "aws.scheduler"})


class Context(Protocol):
    """What Lambda tells of an invocation, as far as it is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda kills it."""


Handler = Callable[[Mapping[str, Any], Context], Any]


def http_handler(stage: str) -> Handler:
    """For a function URL."""

    def handle(event: Mapping[str, Any], context: Context) -> Any:
        try:
            request = request_of(event, limit=BODY_LIMITS.get(stage, BODY_LIMIT))
        except TooLarge:
            return answer_of(problem(413, "the body is too large"))
        except Terminal:
            return answer_of(problem(400, "bad request"))
        with runtime().invocation(context.aws_request_id):
            return answer_of(runtime().answer_http(stage, request))

    return handle


def topic_handler(stage: str) -> Handler:
    """For the stage's queue; its event source mapping must have ReportBatchItemFailures."""

    def handle(event: Mapping[str, Any], context: Context) -> Any:
        with runtime().invocation(context.aws_request_id):
            return run_batch(runtime(), stage, event, lambda: context.get_remaining_time_in_millis() / 1000)

    return handle


def schedule_handler(stage: str) -> Handler:
    """For EventBridge: a schedule or a scheduled rule. Raises Transient where it does not succeed."""

    def handle(event: Mapping[str, Any], context: Context) -> Any:
        if event.get("source") not in SCHEDULERS:
            raise Terminal(f"stage {stage} is called by EventBridge: this event is not one of a schedule")
        with runtime().invocation(context.aws_request_id):
            outcome = runtime().run_tick(stage)
            tell_of_lost(runtime(), stage)
        if outcome.kind != "done":
            raise Transient(f"stage {stage} has {outcome.kind}: {outcome.reason}")

    return handle
