"""No secret leaves its place: whole stories of a plane in a process of its own, then a hunt for canaries everywhere.

Each secret has a value of its own that occurs nowhere else. The plane is `penstock serve` with SQLite and files, its Vault a
loopback server that checks tokens and wraps for real. The hunt must be able to find: a leak is planted in each place.
"""

import base64
import gzip
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml
from tests.clouds.keyserver import VAULT_TOKEN, KeyServer, key_server
from tests.memory_plane import config_map, kustomization, namespace
from tests.needles import needles, views
from tests.observability.receiver import Collector

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.core.flux.receiver import webhook_digest
from penstock.core.secrets.encrypt import Fresh, encrypt_secret, seal
from penstock.devcluster import DevCluster

PLACES = (
    "age-value", "vault-value", "own-value", "unopened-value", "changed-value", "substituted", "gcp-key", "azure-secret",
    "azure-certificate", "kubeconfig-token", "kubeconfig-password", "webhook-token", "slack-address", "git-password",
    "other-git-password", "api-token", "metrics-token", "collector-password", "trace-header",
)  # fmt: skip
CANARIES = {place: f"canary-{place}-{secrets.token_hex(8)}" for place in PLACES}
IDENTITY, OTHER = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
HUNTED = {**CANARIES, "vault-token": VAULT_TOKEN, "age-key": str(IDENTITY), "data-key": secrets.token_hex(16)}
DATA_KEY = HUNTED["data-key"].encode()


def fresh() -> Fresh:
    return Fresh(random=secrets.token_bytes, now="2026-01-02T03:04:05Z")


def secret(name: str, namespace: str = "apps", **values: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


NEEDLES = {place: needles(value) for place, value in HUNTED.items()}


@cache
def found_in(data: bytes) -> set[str]:
    return {place for view in views(data) for place, forms in NEEDLES.items() if any(form in view for form in forms)}


class Fleet:
    """A plane and all that is around it; ``told``: what was written or answered, by where."""

    def __init__(
        self, directory: Path, git: GitServer, cluster: DevCluster, vault: KeyServer, collector: Collector
    ) -> None:
        self.collector = collector
        self.directory, self.git, self.cluster, self.vault = directory, git, cluster, vault
        self.told: dict[str, bytes] = {}
        self.data, self.tmp, self.work = directory / "data", directory / "tmp", directory / "work"
        for folder in (self.tmp, directory / "home"):
            folder.mkdir()
        git.create("fleet")
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_bytes(cluster.kubeconfig())
        self.live = KubeClusters(lambda _: Kubeconfig(paths=(str(self.kubeconfig),))).connect("prod")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory / "home"),
            "TMPDIR": str(self.tmp),
            "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1",
            "PENSTOCK_API_TOKEN": CANARIES["api-token"],
        }
        self.of_the_plane = {
            **self.environment,
            "VAULT_TOKEN": VAULT_TOKEN,
            "PENSTOCK_SECRET_GIT": _given(
                "fleet-token", "flux-system", username="git", password=CANARIES["git-password"]
            ),
            "PENSTOCK_SECRET_API": _given("api-token", "penstock-system", token=CANARIES["api-token"]),
            "PENSTOCK_SECRET_METRICS": _given("metrics-token", "penstock-system", token=CANARIES["metrics-token"]),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url.replace("//", f"//u:{CANARIES['collector-password']}@"),
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={CANARIES['trace-header']}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
        self.processes: dict[str, bytes] = {}
        self.hunted: dict[str, set[str]] = {}
        self.port = 0

    # what is there before

    def prepare(self) -> None:
        self.live.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        cluster = {"server": "http://127.0.0.1:9"}
        user = {"token": CANARIES["kubeconfig-token"], "password": CANARIES["kubeconfig-password"]}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
        azure = {"tenantId": "acme.example", "clientId": "app", "clientCertificate": CANARIES["azure-certificate"]}
        google = {"type": "service_account", "client_email": "a@b.example", "private_key": CANARIES["gcp-key"]}
        sops = {"a.agekey": str(IDENTITY), "sops.vault-token": VAULT_TOKEN}
        bad = {"sops.gcp-kms": json.dumps(google), "sops.azure-kv": json.dumps(azure)}
        broken = {"sops.azure-kv": f"clientSecret: {CANARIES['azure-secret']}"}
        for name, values in (
            ("webhook-token", {"token": CANARIES["webhook-token"]}),
            ("slack", {"address": f"http://127.0.0.1:9/services/{CANARIES['slack-address']}"}),
            ("other-git", {"username": "git", "password": CANARIES["other-git-password"]}),
            ("values", {"LABEL": f"{CANARIES['substituted']}!"}),
            ("remote", {"value": yaml.safe_dump(kubeconfig)}),
            ("sops-keys", sops),
            ("bad-keys", bad),
            ("broken-keys", broken),
        ):
            self.live.create(secret(name, "flux-system", **values))

    def files(self) -> dict[str, str]:
        names: dict[str, dict[str, Any]] = {
            "age": _decryption("sops-keys"),
            "vault": _decryption("sops-keys"),
            "own": _decryption(""),
            "unopened": _decryption("sops-keys"),
            "changed": _decryption("sops-keys"),
            "nobody": {},
            "bad": _decryption("bad-keys"),
            "broken": _decryption("broken-keys"),
            "substituted": {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "values"}]}},
            "remote": {"kubeConfig": {"secretRef": {"name": "remote"}}},
        }
        files = {
            f"clusters/prod/{name}.yaml": kustomization(name, f"apps/{name}", **spec) for name, spec in names.items()
        }
        labelled = yaml.safe_load(config_map("labelled", "apps", key="1"))
        labelled["metadata"]["labels"] = {"value": "${LABEL}"}
        aged = encrypt_secret(secret("age", token=CANARIES["age-value"]), [str(IDENTITY.to_public())], fresh())
        unopened = encrypt_secret(secret("un", token=CANARIES["unopened-value"]), [str(OTHER.to_public())], fresh())
        changed = encrypt_secret(secret("ch", token=CANARIES["changed-value"]), [str(IDENTITY.to_public())], fresh())
        bad = {"gcp_kms": [{"resource_id": "projects/a/locations/b/keyRings/c/cryptoKeys/d", "enc": "QUJD"}]}
        bad["azure_kv"] = [{"vault_url": "https://acme.vault.azure.net", "name": "k", "enc": "QUJD"}]
        return {
            **files,
            "clusters/prod/flux.yaml": yaml.safe_dump_all(_flux_objects(self.git.url("private"))),
            "apps/age/all.yaml": namespace("apps") + "---\n" + aged,
            "apps/vault/secret.yaml": self.by_vault("vault", CANARIES["vault-value"]),
            "apps/own/secret.yaml": self.by_vault("own", CANARIES["own-value"]),
            "apps/unopened/secret.yaml": unopened,
            "apps/changed/secret.yaml": changed.replace("name: ch", "name: other"),
            "apps/nobody/secret.yaml": aged,
            "apps/bad/secret.yaml": seal(secret("bad", token="t"), DATA_KEY, bad, fresh()),
            "apps/broken/secret.yaml": aged,
            "apps/substituted/labelled.yaml": yaml.safe_dump(labelled),
            "apps/remote/settings.yaml": config_map("settings", "apps", key="1"),
        }

    def by_vault(self, name: str, value: str) -> str:
        enc = "vault:v1:" + base64.b64encode(self.vault._wrap(DATA_KEY, "sops/main")).decode()
        entry = {"vault_address": self.vault.origin, "engine_path": "sops", "key_name": "main", "enc": enc}
        return seal(secret(name, token=value), DATA_KEY, {"hc_vault": [entry]}, fresh())

    def commit(self, files: dict[str, str]) -> None:
        bare = str(self.git.path("fleet"))
        if not self.work.exists():
            self.git_("clone", "--quiet", bare, str(self.work))
            self.git_("-C", str(self.work), "checkout", "--quiet", "-B", "main")
        for path, text in files.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_text(text)
        inside = ("-C", str(self.work), "-c", "user.name=t", "-c", "user.email=t@example.com")
        self.git_(*inside, "add", "--all")
        self.git_(*inside, "commit", "--quiet", "-m", "change")
        self.git_(*inside, "push", "--quiet", bare, "main")

    def git_(self, *words: str) -> None:
        subprocess.run(["git", *words], check=True, env=self.git.environment(), capture_output=True)

    # the story

    def penstock(self, *words: str) -> str:
        """A command of an operator; what it says is kept."""
        command = [sys.executable, "-m", "penstock.cli", *words]
        done = subprocess.run(
            command, env=self.environment, cwd=self.directory, capture_output=True, check=False, timeout=120
        )
        self.told[f"penstock {' '.join(words)}"] = done.stdout + done.stderr
        return done.stdout.decode() + done.stderr.decode()

    def plane(self) -> None:
        clusters = [{"name": "prod", "path": "clusters/prod", "kubeConfig": {"path": str(self.kubeconfig)}}]
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "test"},
            "spec": {
                "source": {"url": self.git.url("fleet"), "interval": "10m", "secretRef": {"name": "fleet-token"}},
                "clusters": clusters,
                "policy": {"sopsVaults": [{"address": self.vault.origin}]},
            },
        }
        (self.directory / "penstock.yaml").write_text(yaml.safe_dump(document))
        self.penstock("plane", "apply", "-f", "penstock.yaml", "--data-dir", str(self.data))

    def serve(self, stack: ExitStack) -> None:
        log = stack.enter_context((self.directory / "log").open("wb"))
        command = [sys.executable, "-m", "penstock.cli", "serve", "--port", "0", "--log", "json"]
        command += ["--metrics-addr", "127.0.0.1:0"]
        process = subprocess.Popen(
            [*command, "--data-dir", str(self.data)], stdout=log, stderr=log, env=self.of_the_plane, cwd=self.directory
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        self.process = process
        stopped = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process.pid, stopped))
        watcher.start()
        stack.callback(watcher.join)
        stack.callback(stopped.set)
        self.until(lambda: re.search(r"^synced", self.log(), re.MULTILINE), "the first sync")
        self.port = int(re.findall(r"127\.0\.0\.1:(\d+)", self.log().partition("listening")[2])[0])
        self.metrics = int(re.findall(r"127\.0\.0\.1:(\d+)", self.log().partition("metrics ")[2])[0])

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def _watch(self, pid: int, stopped: threading.Event) -> None:
        """Files below TMPDIR, command lines, and environments of children, as long as the plane runs."""
        while not stopped.wait(0.01):
            self.look(pid)

    def look(self, pid: int) -> None:
        for file in [each for each in self.tmp.rglob("*") if each.is_file()]:
            with suppress(OSError):
                self.processes[f"temporary file {file}"] = file.read_bytes()
        with suppress(OSError):
            self.processes[f"command line {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
        for child in _children(pid):
            with suppress(OSError):
                self.processes[f"command line of child {child}"] = Path(f"/proc/{child}/cmdline").read_bytes()
                self.processes[f"environment of child {child}"] = Path(f"/proc/{child}/environ").read_bytes()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body=body, headers={"content-type": "application/json", **headers})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        self.told[f"{method} {path.partition('/hook/')[0] or '/hook/'} {len(self.told)}"] = found[1]
        connection.close()
        return found

    def scrape(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=60)
        connection.request("GET", "/metrics", headers={"authorization": f"Bearer {CANARIES['metrics-token']}"})
        self.told["/metrics"] = connection.getresponse().read()
        connection.close()

    def hook(self, token: str) -> int:
        body = b'{"ref": "refs/heads/main"}'
        digest = webhook_digest(CANARIES["webhook-token"].encode(), "hook", "flux-system")
        signature = "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
        return self.ask(
            "POST", f"/hook/{digest}", body, **{"x-github-event": "push", "x-hub-signature-256": signature}
        )[0]

    def until(self, condition: Any, what: str, seconds: float = 180.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what}: {self.log()[-3000:]}"
            time.sleep(0.05)

    # the hunt

    def everywhere(self) -> Iterator[tuple[str, bytes]]:
        """Every place that is not a Secret of the cluster, and what stands there."""
        yield from self.told.items()
        yield from self.processes.items()
        yield "log", self.log().encode()
        yield "spans and metrics", b"".join(self.collector.bodies)
        for file in (each for each in self.data.rglob("*") if each.is_file()):
            yield f"file {file.relative_to(self.data)}", file.read_bytes()
        for file in (each for each in (self.directory / "home").rglob("*") if each.is_file()):
            yield f"home {file.name}", file.read_bytes()
        for file in self.data.glob("*.db"):
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
                for row in _rows(database):
                    yield f"row of {file.name}", b"\0".join(_bytes(value) for value in row)
        for change in self.cluster.store.since(0):
            found = change.after.object
            if found["kind"] != "Secret":
                yield f"{found['kind']} {found['metadata']['name']} in the cluster", json.dumps(found).encode()

    def hunt(self) -> dict[str, set[str]]:
        self.hunted = {where: found for where, data in self.everywhere() if (found := found_in(data))}
        return self.hunted


def _given(name: str, namespace: str, **values: str) -> str:
    return json.dumps({"cluster": "-", "namespace": namespace, "name": name, "stringData": values})


def _decryption(name: str) -> dict[str, Any]:
    return {"decryption": {"provider": "sops", **({"secretRef": {"name": name}} if name else {})}}


def _flux_objects(private: str) -> list[dict[str, Any]]:
    def flux(group: str, kind: str, name: str, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "flux-system"}
        return {"apiVersion": f"{group}.toolkit.fluxcd.io/v1", "kind": kind, "metadata": metadata, "spec": spec}

    everything = [{"kind": "Kustomization", "name": "*"}, {"kind": "GitRepository", "name": "*"}]
    receiver = {"type": "github", "secretRef": {"name": "webhook-token"}, "events": ["push"]}
    alert = flux("notification", "Alert", "alert", providerRef={"name": "slack"}, eventSources=everything)
    provider = flux("notification", "Provider", "slack", type="slack", channel="c", secretRef={"name": "slack"})
    return [
        flux("source", "GitRepository", "private", interval="10m", url=private, secretRef={"name": "other-git"}),
        flux(
            "notification", "Receiver", "hook", **receiver, resources=[{"kind": "GitRepository", "name": "flux-system"}]
        ),
        {**alert, "apiVersion": "notification.toolkit.fluxcd.io/v1beta3"},
        {**provider, "apiVersion": "notification.toolkit.fluxcd.io/v1beta3"},
    ]


def _children(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        with suppress(OSError):
            for task in Path(f"/proc/{waiting[-1]}/task").iterdir():
                here = [int(each) for each in (task / "children").read_text().split()]
                found += here
                waiting = [*here, *waiting]
        waiting.pop()
    return found


def _rows(database: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        yield from database.execute(f'SELECT * FROM "{table}"')


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


STORIES = {
    "age": "True",
    "vault": "True",
    "own": "True",
    "unopened": "no key opens it: age age1",
    "changed": "MAC mismatch",
    "nobody": "configuring spec.decryption is required",
    "bad": "sops.gcp-kms: private_key: is no RSA private key",
    "broken": "sops.azure-kv: needs tenantId",
    "substituted": "nvalid",
    "remote": "False",
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Every story told: what works, what fails in each way, and everything that people ask about it."""
    directory = tmp_path_factory.mktemp("canaries")
    with ExitStack() as stack:
        git = stack.enter_context(GitServer(directory / "git", login=("git", CANARIES["git-password"])))
        vault, collector = stack.enter_context(key_server()), stack.enter_context(Collector())
        made = Fleet(directory, git, stack.enter_context(DevCluster()), vault, collector)
        made.prepare()
        made.commit(made.files())
        made.plane()
        made.serve(stack)
        made.until(lambda: _told(made), "every story to end")
        assert made.hook(CANARIES["webhook-token"]) == 202
        assert made.hook("wrong") == 401
        for words in COMMANDS:
            made.penstock(*words, *(() if words[0] == "plan" else ("--data-dir", str(made.data))))
        made.look(made.process.pid)
        made.scrape()
        collector.quiet()
        yield made


COMMANDS: list[tuple[str, ...]] = [
    ("status",),
    ("status", "-o", "json"),
    ("get", "kustomizations"),
    ("get", "all"),
    *(("reconcile", f"kustomization/{name}", "--plan") for name in STORIES),
    ("reconcile", "kustomization/age", "--wait", "30s"),
    ("reconcile", "kustomization/substituted", "--wait", "30s"),
    ("webhook", "url", "hook", "--public-url", "https://penstock.example.com"),
    *(
        ("diff", "kustomization", name, "--path", "work", "--kubeconfig", "kubeconfig", "-o", form)
        for name in ("age", "vault", "unopened", "changed", "nobody", "substituted")
        for form in ("text", "json")
    ),
    *(
        ("plan", "--source", "work", "--path", "clusters/prod", "--kubeconfig", "kubeconfig", "-o", form, *details)
        for form in ("text", "json")
        for details in ((), ("--details",))
    ),
]


def _told(fleet: Fleet) -> bool:
    told = fleet.penstock("get", "all", "--data-dir", str(fleet.data))
    lines = {line.split()[0].rpartition("/")[2]: line for line in told.splitlines() if line.strip()}
    return all(words in lines.get(name, "") for name, words in STORIES.items())


def test_each_story_was_told(fleet: Fleet) -> None:
    assert _told(fleet)
    assert fleet.vault.asked, "the Vault was asked"


def test_what_people_ask_was_answered(fleet: Fleet) -> None:
    answers = {where: data for where, data in fleet.told.items() if "penstock" in where}
    assert len(answers) > 25
    assert [where for where, data in answers.items() if b"usage:" in data or b"Traceback" in data] == []
    assert b'Invalid value: \\"***\\"' in next(data for where, data in answers.items() if "status -o json" in where)
    assert any("command line" in where for where in fleet.processes)


def test_traces_and_metrics_went_out(fleet: Fleet) -> None:
    names = {span.name for span in fleet.collector.spans}
    assert names >= {"checkout", "render", "apply", "deliver", "POST /hook/{digest}"}
    assert any(span.failed for span in fleet.collector.spans), "what failed was told too"
    assert b"penstock_stage_duration_seconds_count" in fleet.told["/metrics"]


def test_no_secret_is_anywhere_else(fleet: Fleet) -> None:
    assert fleet.hunt() == {}


def _in_a_row(fleet: Fleet, data: bytes) -> None:
    with sqlite3.connect(fleet.data / "planted.db") as database:
        database.execute("CREATE TABLE t (a TEXT, b BLOB)")
        database.execute("INSERT INTO t VALUES (?, ?)", ("x", b"x" * 5000 + data))


def _in_an_event(fleet: Fleet, data: bytes) -> None:
    about = {"kind": "ConfigMap", "namespace": "flux-system", "name": "x"}
    metadata = {"name": f"planted-{secrets.token_hex(4)}", "namespace": "flux-system"}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": about}
    fleet.live.create({**event, "message": base64.b64encode(data).decode(), "type": "Normal", "reason": "R"})


def _in_a_child(fleet: Fleet, data: bytes, *, argument: bool) -> None:
    """A child of this process stands for one of the plane's."""
    given = {} if argument else {"LEAK": data.decode()}
    command = [sys.executable, "-c", "input()", *([data.decode()] if argument else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=given) as child:
        fleet.until(lambda: "-c" in Path(f"/proc/{child.pid}/cmdline").read_text(), "the child")
        fleet.look(os.getpid())
        child.communicate(b"\n")


def _in_a_temporary_file(fleet: Fleet, data: bytes) -> None:
    (fleet.tmp / "planted").write_bytes(data)
    time.sleep(0.5)
    (fleet.tmp / "planted").unlink()


def _in_the_log(fleet: Fleet, data: bytes) -> None:
    with (fleet.directory / "log").open("ab") as log:
        log.write(b'{"event": "' + data + b'"}\n')


LEAKS: dict[str, Any] = {
    "a record": _in_a_row,
    "a Kubernetes Event, base64": _in_an_event,
    "an argument": lambda fleet, data: _in_a_child(fleet, data, argument=True),
    "a variable of a child": lambda fleet, data: _in_a_child(fleet, data, argument=False),
    "a file that is gone again": _in_a_temporary_file,
    "the log": _in_the_log,
    "an artifact, packed": lambda fleet, data: (fleet.data / "artifacts/planted").write_bytes(gzip.compress(data * 3)),
    "a file of the data directory": lambda fleet, data: (fleet.data / "planted").write_bytes(data.hex().encode()),
    "a span": lambda fleet, data: fleet.collector.bodies.append(b"\n\x10" + data),
    "an answer": lambda fleet, data: fleet.told.update(planted=b"a" + base64.b64encode(b"ab" + data)),
}


@pytest.mark.parametrize("place", LEAKS)
def test_a_planted_leak_is_found(fleet: Fleet, place: str) -> None:
    before = fleet.hunted or fleet.hunt()
    LEAKS[place](fleet, CANARIES["age-value"].encode())
    found = fleet.hunt()
    assert {"age-value"} in [found[where] for where in found.keys() - before.keys()], place
