"""AWS's errors leave the adapters as ours: retried, refused or reported, and never with what was sent."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.stub import Stubber
from tests.aws.plane import ENVIRONMENT, NAMES, in_process

from penstock.adapters.aws.clients import ATTEMPTS, Clients
from penstock.adapters.aws.errors import action
from penstock.adapters.state.dynamodb import DynamoState
from penstock.core.errors import Conflict, NotFound, Refused, Terminal, Transient

KEY = {"TableName": NAMES.table, "Key": {"p": {"S": "canary"}, "k": {"S": "canary"}}}


@pytest.fixture
def clients():
    with in_process() as made:
        yield made


def refused_with(clients, code, status):
    stub = Stubber(clients.client("dynamodb"))
    stub.add_client_error("get_item", code, "canary: the text of an error", http_status_code=status)
    return stub


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Transient),
        ("ProvisionedThroughputExceededException", 400, Transient),
        ("RequestLimitExceeded", 400, Transient),
        ("SlowDown", 503, Transient),
        ("InternalServerError", 500, Transient),
        ("SomethingNew", 503, Transient),
        ("SomethingNew", 429, Transient),
        ("ExpiredTokenException", 403, Transient),
        ("TransactionConflictException", 400, Transient),
        ("ConditionalRequestConflict", 409, Transient),
        ("ConditionalCheckFailedException", 400, Conflict),
        ("PreconditionFailed", 412, Conflict),
        ("AccessDeniedException", 400, Refused),
        ("AuthorizationError", 403, Refused),
        ("SomethingNew", 403, Refused),
        ("ResourceNotFoundException", 400, NotFound),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, NotFound),
        ("ValidationException", 400, Terminal),
    ],
)
def test_a_code_decides_what_happens_to_the_message(clients, code, status, kind):
    with refused_with(clients, code, status), pytest.raises(kind) as raised:
        clients.call("dynamodb", "get_item", NAMES.table, KEY)
    assert type(raised.value) is kind
    assert "canary" not in str(raised.value)
    assert f"dynamodb:GetItem on {NAMES.table}" in str(raised.value)


def test_a_missing_right_names_what_to_allow(clients):
    with refused_with(clients, "AccessDeniedException", 400), pytest.raises(Refused) as raised:
        clients.call("dynamodb", "get_item", NAMES.table, KEY)
    assert str(raised.value).endswith("needs the permission dynamodb:GetItem on plane-1-state")
    assert raised.value.reason == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("sqs", "send_message_batch", "sqs:SendMessage"),
        ("sns", "publish_batch", "sns:Publish"),
        ("s3", "list_objects_v2", "s3:ListBucket"),
        ("s3", "put_object", "s3:PutObject"),
        ("dynamodb", "transact_write_items", "dynamodb:PutItem"),
        ("secretsmanager", "get_secret_value", "secretsmanager:GetSecretValue"),
    ],
)
def test_the_action_is_the_one_that_a_policy_grants(service, operation, expected):
    assert action(service, operation) == expected


def test_parameters_that_botocore_refuses_are_not_quoted(clients):
    with pytest.raises(Terminal, match="ParamValidationError") as raised:
        clients.call("secretsmanager", "put_secret_value", "s", {"SecretId": "s", "SecretString": ["canary"]})
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_no_credentials_are_a_refusal(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Refused, match=r"no AWS credentials .*AWS_PROFILE"):
        Clients(NAMES.region).call("dynamodb", "get_item", NAMES.table, KEY)


def test_an_unreachable_endpoint_is_transient_and_tried_a_bounded_number_of_times(monkeypatch):
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    clients = Clients(NAMES.region)
    sent = []
    client = clients.client("dynamodb")
    client.meta.events.register("before-send.dynamodb", lambda request, **_: sent.append(request.url))
    with pytest.raises(Transient, match="EndpointConnectionError"):
        clients.call("dynamodb", "get_item", NAMES.table, KEY)
    assert len(sent) == ATTEMPTS


@contextlib.contextmanager
def something_in_between(status):
    """Answers each request with a page."""
    page = b"<!DOCTYPE html><title>canary: busy</title><br>"

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_GET = do_PUT = do_POST = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [200, 429, 502, 503])
@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-central-1:123456789012:plane-1-event", "Message": "canary"}),
        ("s3", "list_objects_v2", {"Bucket": "acme-penstock"}),
        ("dynamodb", "get_item", KEY),
    ],
)
def test_a_page_of_something_in_between_is_no_answer(service, operation, parameters, status, monkeypatch):
    with something_in_between(status) as url:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Transient) as raised:
            Clients(NAMES.region).call(service, operation, "what it is about", parameters)
    assert "canary" not in str(raised.value)
    assert raised.value.__suppress_context__ or "canary" not in str(raised.value.__cause__)


def test_a_table_that_does_not_exist_is_named():
    with in_process() as clients, pytest.raises(NotFound, match="dynamodb:GetItem on plane-1-state: it does not exist"):
        DynamoState(clients, NAMES.table).get("k")
