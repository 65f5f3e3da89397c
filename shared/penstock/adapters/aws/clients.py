"""Calls to AWS: botocore is loaded at the first one, and its errors leave as ours."""

import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from penstock.adapters.aws.errors import action, code_of, translated
from penstock.core.errors import PenstockError, Refused, Terminal, Transient

CONNECT_SECONDS = 3
READ_SECONDS = 10
ATTEMPTS = 3
"""Of one call, the first included; what still fails is the message's own retry."""
POOL = 32


class Answered(Exception):
    """AWS answered with an error that the caller expects. ``code``; ``response``: all of the answer."""

    def __init__(self, code: str, response: Mapping[str, Any]) -> None:
        super().__init__(code)
        self.code, self.response = code, response


class Clients:
    """One process's clients of one region, shared by its threads.

    Credentials and endpoints (``AWS_ENDPOINT_URL``) are found as AWS's SDKs find them.
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._session: Any = None
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(
        self,
        service: str,
        operation: str,
        resource: str,
        parameters: Mapping[str, Any],
        *,
        expect: Collection[str] = (),
    ) -> dict[str, Any]:
        """The answer to ``operation`` (``put_item``). ``resource``: what it is about, for errors.

        Raises Answered for the codes in ``expect``; otherwise Transient, Conflict, Refused, NotFound or Terminal.
        """
        # heavy, so only here; it publishes no types
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see above
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - see above

        try:
            answer: dict[str, Any] = getattr(self.client(service), operation)(**parameters)
        except ClientError as error:
            code = code_of(error.response)
            if code in expect:
                raise Answered(code, error.response) from error
            raise translated(error.response, action(service, operation), resource) from error
        except (BotoCoreError, ResponseParserError) as error:  # the latter: of something in between, a page perhaps
            # no `from`: an error about parameters quotes them, one about an answer what that says
            raise _unanswered(type(error).__name__, action(service, operation), resource) from None
        # botocore takes a page of a proxy for an empty answer
        if not answer.get("ResponseMetadata", {}).get("RequestId"):
            told = f"what answered {action(service, operation)} on {resource} is not AWS: it gave no request id"
            raise Transient(told)
        return answer

    def pages(
        self, service: str, operation: str, resource: str, parameters: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """The answers to an operation that hands out ``NextToken``, to the last. Errors as ``call``'s."""
        token: dict[str, Any] = {}
        while True:
            page = self.call(service, operation, resource, {**parameters, **token})
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def download(self, service: str, operation: str, resource: str, parameters: Mapping[str, Any]) -> bytes | None:
        """The whole ``Body`` of an answer; None where there is no such key. Errors as ``call``'s."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see above

        try:
            data: bytes = self.call(service, operation, resource, parameters, expect={"NoSuchKey"})["Body"].read()
        except Answered:
            return None
        except BotoCoreError as error:  # the connection broke in the middle of the body
            raise _unanswered(type(error).__name__, action(service, operation), resource) from error
        return data

    def client(self, service: str) -> Any:
        """The botocore client, made at first use."""
        with self._lock:  # making clients is not thread-safe, using them is
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    def _make(self, service: str) -> Any:
        import botocore.session  # noqa: PLC0415 - see above
        from botocore.config import Config  # noqa: PLC0415 - see above

        if self._session is None:
            self._session = botocore.session.Session()
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS + (20 if service == "sqs" else 0),  # a long poll lasts 20 s
            max_pool_connections=POOL,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            user_agent_extra="penstock",
        )
        return self._session.create_client(service, region_name=self._region, config=config)


def _unanswered(name: str, act: str, resource: str) -> PenstockError:
    said = f"{act} on {resource}: {name}"
    if name in {"NoCredentialsError", "PartialCredentialsError"}:
        return Refused(f"{said}: this process has no AWS credentials (in a shell: AWS_PROFILE, or `aws configure`)")
    if name == "ParamValidationError":
        return Terminal(f"{said}: AWS does not take these parameters")
    return Transient(said)
