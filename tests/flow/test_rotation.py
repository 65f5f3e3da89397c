"""Each credential is rotated while pushes keep coming, as docs/operations.md says it: none is lost, the old one ends.

The plane is `penstock serve`; Git server, registry and cluster (in process) are its own world. Each push is a commit, an
image and a signed delivery; the cluster must come to the newest of them, and nothing may have failed on the way.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pyrage
import pytest
import yaml
from tests.contract import registries
from tests.memory_plane import config_map, kustomization
from tests.needles import needles, views

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.adapters.registry.memory import archive, manifest_of
from penstock.core.flux.receiver import webhook_digest
from penstock.core.resources import Gvk
from penstock.core.secrets.encrypt import Fresh, encrypt_secret
from penstock.devcluster import DevCluster

CONFIG_MAP, SECRET = Gvk(version="v1", kind="ConfigMap"), Gvk(version="v1", kind="Secret")
HOOK = f"canary-hook-{secrets.token_hex(8)}"
GIT = [("git", f"canary-git-{number}-{secrets.token_hex(8)}") for number in range(3)]
REGISTRY = [(f"canary-robot-{number}", registries.PASSWORD) for number in range(2)]
API = f"canary-api-{secrets.token_hex(8)}"
AGE = [pyrage.x25519.Identity.generate() for _ in range(2)]
HUNTED = [HOOK, *(password for _, password in GIT), registries.PASSWORD, API, *map(str, AGE)]
PAGE = Path(__file__).parents[2] / "docs/operations.md"


def source(kind, name, **spec):
    metadata = {"name": name, "namespace": "flux-system"}
    return {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


class Fleet:
    """The plane and its world. ``recipients``: whom the pushed Secret is encrypted to."""

    def __init__(self, stack, directory):
        self.hunted = [*HUNTED]
        self.directory, self.data, self.work = directory, directory / "data", directory / "work"
        self.own = stack.enter_context(GitServer(directory / "own"))
        self.git = stack.enter_context(GitServer(directory / "git", login=GIT[0]))
        (directory / "registry").mkdir()
        self.registry = stack.enter_context(registries.RealServer(directory / "registry", private=True))
        self.registry_users(REGISTRY[0][0])
        self.recipients = [str(AGE[0].to_public())]
        self.cluster = stack.enter_context(DevCluster())
        (directory / "kubeconfig").write_bytes(self.cluster.kubeconfig())
        self.live = KubeClusters(lambda _: Kubeconfig(data=self.cluster.kubeconfig())).connect("prod")
        self.live.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        self.secret("hook", token=HOOK)
        self.git_login(GIT[0])
        self.registry_login(REGISTRY[0])
        self.secret("sops-age", **{"old.agekey": str(AGE[0])})
        self.own.create("fleet")
        self.git.create("apps")
        self.commit(self.own.path("fleet"), {"clusters/prod/all.yaml": yaml.safe_dump_all(self.declared())})
        self.push(0)
        self.serve(stack)

    def declared(self):
        receiver = {
            "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver",
            "metadata": {"name": "hook", "namespace": "flux-system"},
            "spec": {
                "type": "github",
                "events": ["push"],
                "secretRef": {"name": "hook"},
                "resources": [
                    {"kind": "GitRepository", "name": "apps"},
                    {"kind": "OCIRepository", "name": "images"},
                ],
            },
        }
        url, images = self.git.url("apps"), f"oci://{self.registry.host}/{registries.REPOSITORY}"
        login, interval = {"secretRef": {"name": "registry-login"}}, "1h"
        sops = {"decryption": {"provider": "sops", "secretRef": {"name": "sops-age"}}}
        of = {
            name: {"kind": kind, "name": name}
            for name, kind in (("apps", "GitRepository"), ("images", "OCIRepository"))
        }
        return [
            source(
                "GitRepository",
                "apps",
                url=url,
                interval=interval,
                ref={"branch": "main"},
                secretRef={"name": "git-login"},
            ),
            source(
                "OCIRepository", "images", url=images, interval=interval, insecure=True, ref={"tag": "new"}, **login
            ),
            yaml.safe_load(kustomization("apps", ".", sourceRef=of["apps"], interval=interval, **sops)),
            yaml.safe_load(kustomization("images", ".", sourceRef=of["images"], interval=interval)),
            receiver,
        ]

    # what an operator does

    def secret(self, name, **values):
        """Write it in the cluster, as kubectl apply does."""
        found = self.live.get(SECRET, "flux-system", name)
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        metadata = {"name": name, "namespace": "flux-system"}
        if found is None:
            self.live.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        else:
            self.live.replace({**found, "data": data})

    def git_login(self, login):
        self.secret("git-login", username=login[0], password=login[1])

    def registry_login(self, login):
        basic = base64.b64encode(":".join(login).encode()).decode()
        value = json.dumps({"auths": {self.registry.host: {"auth": basic}}})
        self.secret("registry-login", **{".dockerconfigjson": value})

    def registry_users(self, *names):
        """Whom the registry lets in: it reads its file again when that changes. The test's own user is always there."""
        known = "".join(f"{name}:{registries.BCRYPT}\n" for name in (registries.USER, *names))
        (self.directory / "registry/htpasswd").write_text(known)

    def reconcile(self):
        """The root, which declares the sources, to its end. (Nothing is pushed to it: nobody else is at it.)"""
        done = self.penstock("reconcile", "kustomization/flux-system", "--wait", "60s")
        assert done.returncode == 0, done.stdout + done.stderr

    def penstock(self, *words):
        command = [sys.executable, "-m", "penstock.cli", *words, "--data-dir", str(self.data)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)

    # the plane

    @property
    def environment(self):
        home = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        return {**home, "PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"}

    def serve(self, stack):
        clusters = [
            {"name": "prod", "path": "clusters/prod", "kubeConfig": {"path": str(self.directory / "kubeconfig")}}
        ]
        document = {"apiVersion": "penstock.dev/v1alpha1", "kind": "Plane", "metadata": {"name": "t"}}
        spec = {"source": {"url": self.own.url("fleet"), "interval": "1h"}, "clusters": clusters}
        spec["policy"] = {"allowedHosts": ["127.0.0.1"]}
        (self.directory / "penstock.yaml").write_text(json.dumps({**document, "spec": spec}))
        self.data.mkdir()
        (self.data / "api-token").write_text(f"{API}\n")
        (self.data / "api-token").chmod(0o600)
        log = stack.enter_context((self.directory / "log").open("wb"))
        command = [sys.executable, "-m", "penstock.cli", "serve", "--port", "0", "--log", "json"]
        command += ["--data-dir", str(self.data), "-f", str(self.directory / "penstock.yaml")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)
        stack.callback(process.wait)
        stack.callback(process.kill)
        self.until(lambda: "\nsynced" in self.log(), "the first sync")
        self.port = int(re.findall(r"listening  http://127\.0\.0\.1:(\d+)", self.log())[0])
        self.until(lambda: self.seen() == 0, "what stands there already")

    def log(self):
        return (self.directory / "log").read_text()

    def lines(self):
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def failures(self):
        """What the log says that went wrong."""
        return [
            line
            for line in self.lines()
            if line.get("outcome") in ("failed", "retry") or line.get("reason", "").endswith("Failed")
        ]

    def reasons(self, name):
        """Why the last look at a source failed; empty where it did not."""
        looks = [each for each in self.lines() if (each["message"], each.get("name")) == ("source looked at", name)]
        return {each["reason"] for each in looks[-1:] if each["outcome"] == "failed"}

    def until(self, condition, what, seconds=60.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what}: {self.log()[-3000:]}"
            time.sleep(0.05)

    def ask(self, method, path, body=b"", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers={"content-type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    # pushes

    def commit(self, bare, files):
        work = self.work / bare.stem
        environment = self.own.environment()
        if not work.exists():
            subprocess.run(
                ["git", "clone", "--quiet", str(bare), str(work)], env=environment, check=True, capture_output=True
            )
            subprocess.run(["git", "-C", str(work), "checkout", "--quiet", "-B", "main"], env=environment, check=True)
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        for words in (["add", "--all"], ["commit", "--quiet", "-m", "change"], ["push", "--quiet", "origin", "main"]):
            subprocess.run(["git", "-C", str(work), *who, *words], env=environment, check=True, capture_output=True)

    def push(self, number):
        """A commit and an image with this number."""
        value = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sealed", "namespace": "default"}}
        fresh = Fresh(random=secrets.token_bytes, now="2026-01-02T03:04:05Z")
        sealed = encrypt_secret({**value, "stringData": {"number": str(number)}}, self.recipients, fresh)
        files = {"commit.yaml": config_map("commit", "default", number=str(number)), "sealed.yaml": sealed}
        self.commit(self.git.path("apps"), files)
        layer = self.registry.blob(archive({"image.yaml": config_map("image", "default", number=str(number)).encode()}))
        self.registry.manifest("new", manifest_of(layer, {}))

    def deliver(self):
        body = b'{"ref": "refs/heads/main"}'
        signature = "sha256=" + hmac.new(HOOK.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-github-event": "push", "x-hub-signature-256": signature}
        return self.ask("POST", f"/hook/{webhook_digest(HOOK.encode(), 'hook', 'flux-system')}", body, **headers)

    def seen(self):
        """The number up to which every push has arrived."""
        found = [self.live.get(CONFIG_MAP, "default", name) for name in ("commit", "image")]
        numbers = [int(each["data"]["number"]) for each in found if each]
        sealed = self.live.get(SECRET, "default", "sealed")
        numbers += [int(base64.b64decode(sealed["data"]["number"]))] if sealed else []
        return min(numbers) if len(numbers) == 3 else -1

    def everything_told(self):
        """Where a secret may not be: the log, and every file of the plane but the one that is made to hold the token."""
        yield self.log().encode()
        for file in self.data.rglob("*"):
            if file.is_file() and not file.name.startswith("api-token"):
                yield file.read_bytes()


class Pushing(threading.Thread):
    """Pushes and deliveries, one after the other, while a block is done; then the last one must arrive by itself."""

    last = 0

    def __init__(self, fleet):
        super().__init__()
        self.fleet, self.answers, self.stopping = fleet, [], threading.Event()

    def run(self):
        while not self.stopping.is_set():
            Pushing.last += 1
            self.fleet.push(Pushing.last)
            self.answers.append(self.fleet.deliver())

    def __enter__(self):
        self.start()
        self.more(1)
        return self

    def more(self, count=2):
        """Go on when so many further pushes were delivered."""
        wanted, end = len(self.answers) + count, time.monotonic() + 90
        while len(self.answers) < wanted:
            assert self.is_alive()
            assert time.monotonic() < end
            time.sleep(0.02)

    def stop(self):
        self.stopping.set()
        self.join()

    def __exit__(self, kind, *_):
        self.stop()
        if kind is None:
            assert set(self.answers) == {202}
            self.fleet.until(lambda: self.fleet.seen() == Pushing.last, "the last push")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    if why := registries.missing():
        pytest.skip(why)
    with ExitStack() as stack:
        yield Fleet(stack, tmp_path_factory.mktemp("rotation"))


@pytest.fixture
def calm(fleet):
    """Nothing may fail meanwhile."""
    before = len(fleet.failures())
    yield
    assert fleet.failures()[before:] == []


pytestmark = [pytest.mark.real, pytest.mark.xdist_group("rotation")]


def test_a_git_login_of_which_there_may_be_two(fleet, calm):
    with Pushing(fleet) as pushing:
        fleet.git.logins.append(GIT[1])
        fleet.git_login(GIT[1])
        fleet.reconcile()
        pushing.more()
        fleet.git.logins.remove(GIT[0])
        pushing.more()


def test_a_registry_login_of_which_there_may_be_two(fleet, calm):
    with Pushing(fleet) as pushing:
        fleet.registry_users(REGISTRY[0][0], REGISTRY[1][0])
        fleet.registry_login(REGISTRY[1])
        fleet.reconcile()
        pushing.more()
        fleet.registry_users(REGISTRY[1][0])
        pushing.more()


def test_a_sops_key(fleet, calm):
    old, new = AGE
    both = [str(each.to_public()) for each in AGE]
    with Pushing(fleet) as pushing:
        fleet.recipients = both
        pushing.more()
        fleet.secret("sops-age", **{"old.agekey": str(old), "new.agekey": str(new)})
        pushing.more()
        fleet.recipients = both[1:]
        pushing.more()
        fleet.secret("sops-age", **{"new.agekey": str(new)})
        pushing.more()


def test_the_api_token(fleet, calm):
    path = fleet.data / "api-token"
    add, leave = re.findall(r"^sed .*api-token", PAGE.read_text(), re.MULTILINE)

    def do(command):
        subprocess.run(command.replace("/var/lib/penstock/api-token", str(path)), shell=True, check=True)

    def status(token):
        return fleet.ask("GET", "/status", authorization=f"Bearer {token}")

    with Pushing(fleet) as pushing:
        assert status(API) == 200
        do(add)
        new = path.read_text().split()[0]
        fleet.hunted.append(new)
        assert (status(API), status(new), status("")) == (200, 200, 401)
        fleet.reconcile()
        pushing.more(1)
        do(leave)
        assert (status(API), status(new)) == (401, 200)
        fleet.reconcile()
        assert path.read_text() == f"{new}\n"
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_git_login_of_which_there_is_only_one(fleet):
    """Pushes of the time between are refused by the Git server; they arrive with the new login, without another push."""
    with Pushing(fleet) as pushing:
        fleet.git.logins[:] = [GIT[2]]
        pushing.more()
        pushing.stop()
        fleet.until(lambda: fleet.reasons("apps") == {"AuthenticationFailed"}, "the login to be refused")
        assert fleet.seen() < Pushing.last
        fleet.git_login(GIT[2])
        fleet.reconcile()


def test_a_sops_key_that_has_left_the_secret_opens_nothing_more(fleet):
    """And says so; with the right key again, it goes on."""
    fleet.recipients = [str(AGE[0].to_public())]
    fleet.secret("sops-age", **{"new.agekey": str(AGE[1])})
    with Pushing(fleet) as pushing:
        pushing.more(1)
        pushing.stop()
        fleet.until(lambda: "no key opens it" in fleet.penstock("get", "kustomizations").stdout, "the key to be missed")
        fleet.secret("sops-age", **{"old.agekey": str(AGE[0])})
        assert fleet.penstock("reconcile", "kustomization/apps").returncode == 0


def test_no_secret_is_told(fleet):
    sought = [form for value in fleet.hunted for form in needles(value)]
    found = [form for data in fleet.everything_told() for view in views(data) for form in sought if form in view]
    assert found == []
