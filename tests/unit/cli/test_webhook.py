"""``penstock webhook``: what to enter at GitHub, and deliveries that the webhook stage takes."""

import io
import json
import shlex
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.cli import main
from penstock.cli.webhook import Named, accepted, find, instructions
from penstock.core.errors import NotFound, Refused
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.records import ObjectRecord, ReceiverRecord, object_key, receiver_key
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.ports.deps import Deps
from penstock.stages import webhook
from penstock.wiring import open_state

TOKEN = b"t0ken-canary"


def add_receiver(
    state, *, cluster="production", token=TOKEN, events=("push",), url="https://github.com/acme/fleet.git"
):
    entry = ReceiverRecord(
        cluster=cluster,
        namespace="flux-system",
        name="github",
        type="github",
        digest=webhook_digest(token, "github", "flux-system"),
        secret=secret_name(WEBHOOK, cluster, "flux-system", "webhook-token"),
        events=events,
        resources=({"kind": "GitRepository", "namespace": "flux-system", "name": "flux-system"},),
    )
    state.put(receiver_key(entry.digest, cluster, "flux-system", "github"), entry.to_value(), expected=None)
    document = {"metadata": {"name": "flux-system"}, "spec": {"url": url}}
    key = object_key(cluster, "GitRepository", "flux-system", "flux-system")
    state.put(key, ObjectRecord(document=document).to_value(), expected=None)
    return entry


class Plane:
    """The webhook stage behind a socket."""

    def __init__(self):
        self.state, self.secrets = MemoryState(), MemorySecrets()
        self.entry = add_receiver(self.state)
        self.secrets.put(self.entry.secret, {"token": TOKEN}, owner="plane")
        self.published = []
        plane = self
        deps = Deps(
            buckets=None,
            registry=None,
            clock=SimulatedClock(),
            clusters=None,
            downloads=None,
            git=None,
            keys=None,
            notifier=None,
            secrets=self.secrets,
            state=self.state,
            storage=None,
            telemetry=MemoryTelemetry(),
            trace="ab" * 16,
        )

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                request = HttpRequest(method="POST", path=self.path, headers=headers, body=body)
                answer, outgoing = webhook.run(request, deps)
                answer = webhook.settle(request, answer, deps)
                plane.published += [each.message for each in outgoing]
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *args):
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def plane():
    found = Plane()
    yield found
    found.close()


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(TOKEN)
    return str(path)


def test_a_push_is_signed_and_taken(plane, token_file, capsys):
    command = ["webhook", "send", "github", "--public-url", plane.url, "--secret-file", token_file]
    assert main([*command, "--commit", "a" * 40]) == 0
    assert capsys.readouterr().out == f"✔ accepted: 1 woken, trace {'ab' * 16}\n"
    assert [each.hint for each in plane.published] == [f"main@sha1:{'a' * 40}"]


def test_a_ping_is_taken_at_a_whole_url(plane, token_file, capsys):
    url = f"{plane.url}/hook/{plane.entry.digest}"
    assert main(["webhook", "send", "--url", url, "--event", "ping", "--secret-file", token_file]) == 0
    assert plane.published == []


def test_the_token_comes_from_stdin(plane, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TOKEN)))
    assert main(["webhook", "send", "github", "--public-url", plane.url, "--secret-file", "-"]) == 0


def test_the_token_comes_from_the_store(plane, tmp_path, monkeypatch, capsys):
    state = open_state(tmp_path)
    add_receiver(state)
    state.close()
    given = {"cluster": "production", "namespace": "flux-system", "name": "webhook-token"}
    monkeypatch.setenv("PENSTOCK_SECRET_HOOK", json.dumps({**given, "stringData": {"token": TOKEN.decode()}}))
    command = ["webhook", "send", "github", "--public-url", plane.url, "--data-dir", str(tmp_path)]
    assert main(command) == 0
    assert len(plane.published) == 1


def test_a_store_that_this_process_cannot_read_is_said(tmp_path, capsys):
    state = open_state(tmp_path)
    add_receiver(state)
    state.close()
    assert main(["webhook", "send", "github", "--data-dir", str(tmp_path)]) == 1
    assert "give --secret-file FILE or -" in capsys.readouterr().err


def test_a_wrong_token_is_refused_and_never_shown(plane, tmp_path, capsys):
    path = tmp_path / "wrong"
    path.write_bytes(TOKEN + b"\n")
    url = f"{plane.url}/hook/{plane.entry.digest}"
    assert main(["webhook", "send", "--url", url, "--secret-file", str(path)]) == 1
    printed = capsys.readouterr()
    assert "the plane answered 401" in printed.err
    assert "ends with a line end" in printed.err
    assert "canary" not in printed.out + printed.err
    assert plane.published == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["github", "--url", "http://x/hook/y"], "give either the NAME"),
        ([], "give either the NAME"),
        (["github", "--secret-file", "/nowhere/token"], "--secret-file /nowhere/token: No such file"),
        (["github", "--secret-file", "/dev/null"], "the token is empty"),
        (["--url", "http://x/hook/y"], "--url needs --secret-file"),
    ],
)
def test_what_cannot_be_sent_is_said(arguments, message, tmp_path, capsys):
    assert main(["webhook", "send", "--data-dir", str(tmp_path), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_url_that_is_none_is_said(token_file, capsys):
    assert main(["webhook", "send", "--url", "http://x:port/", "--secret-file", token_file]) == 1
    assert "no http or https URL" in capsys.readouterr().err


def test_what_to_enter_at_github(tmp_path, capsys):
    state = open_state(tmp_path)
    entry = add_receiver(state, events=("ping", "push", "release"))
    state.close()
    command = ["webhook", "url", "github", "--public-url", "https://penstock.example.com/", "--data-dir", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[:4] == [
        f"Payload URL   https://penstock.example.com/hook/{entry.digest}",
        "Content type  application/json",
        "Secret        key token of Secret flux-system/webhook-token (cluster production)",
        "Events        push, release",
    ]
    words = shlex.split("\n".join(lines[7:]).replace("\\\n", ""))
    assert words[words.index("gh") :] == [
        *("gh", "api", "repos/acme/fleet/hooks", "-X", "POST", "-f", "name=web", "-F", "active=true"),
        *("-f", "events[]=push", "-f", "events[]=release"),
        *("-f", f"config[url]=https://penstock.example.com/hook/{entry.digest}"),
        *("-f", "config[content_type]=json", "-F", "config[secret]=@-"),
    ]
    assert "canary" not in printed


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.example.com/acme/fleet", "gh api --hostname github.example.com repos/acme/fleet/hooks"),
        ("https://github.com/acme/fl.eet.git/", "gh api repos/acme/fl.eet/hooks"),
        ("https://github.com/a/b/c", "gh api repos/OWNER/REPO/hooks"),
        ("https://github.com/a/b;rm -rf", "gh api repos/OWNER/REPO/hooks"),
        ("https://[github.com/a/b", "gh api repos/OWNER/REPO/hooks"),
    ],
)
def test_the_repository_is_that_of_the_source(url, api):
    state = MemoryState()
    entry = add_receiver(state, url=url)
    text = "\n".join(instructions(state, entry, ""))
    assert f"    {api} " in text
    assert "No --public-url was given" in text


def test_nothing_of_a_document_can_slip_into_the_command():
    state = MemoryState()
    entry = add_receiver(state, events=("push'; rm -rf ~ #",), url="https://git$(id).example.com/a/b")
    words = shlex.split("\n".join(instructions(state, entry, "https://x")[7:]).replace("\\\n", ""))
    assert "events[]=push'; rm -rf ~ #" in words
    assert "git$(id).example.com" in words


def test_receivers_of_several_clusters_with_one_token_have_one_url():
    state = MemoryState()
    for cluster in ("eu", "us"):
        add_receiver(state, cluster=cluster)
    assert find(state, Named(name="github")).cluster == "eu"
    add_receiver(state, cluster="ap", token=b"another")
    with pytest.raises(Refused, match=r"\(ap, eu, us\): add --cluster"):
        find(state, Named(name="github"))
    assert find(state, Named(name="github", cluster="ap")).cluster == "ap"


def test_a_receiver_that_is_not_known_is_said():
    with pytest.raises(NotFound, match="no webhook of Receiver flux-system/github is known yet"):
        find(MemoryState(), Named(name="github"))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"accepted":2,"trace":"t"}', "✔ accepted: 2 woken, trace t"),
        (b"", "✔ accepted: 200"),
        (b"[]", "✔ accepted: 200"),
    ],
)
def test_the_answer_in_one_line(body, line):
    assert accepted(HttpResponse(status=200, body=body)) == line
