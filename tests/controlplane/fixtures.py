"""pytest fixtures: a real Kubernetes control plane, once per test run, shared by all xdist workers.

It starts with the first test that asks for ``control_plane`` and ends with the run (or its death). One for all
workers: a start costs 4 s of both cores and 700 MB, and tests are apart by namespace anyway. Without a built
control plane such tests skip and say what to do. What tests hand to penstock is an identity with the rights that
`penstock cluster add --print-rbac` prints (identities.py), never an administrator. PENSTOCK_TEST_KUBECONFIG names another cluster instead, which
must be marked disposable (a ConfigMap kube-system/penstock-disposable); KUBECONFIG and ~/.kube are never read.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.controlplane import identities
from tests.controlplane.build import tool
from tests.controlplane.process import issue, subject

RUN_FOLDER = "PENSTOCK_TEST_RUN_FOLDER"  # set by the pytest process that the workers have in common
NAMED = "PENSTOCK_TEST_KUBECONFIG"
HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A running API server. ``folder`` holds its logs and keys (None for a named cluster: no audit log).

    ``kubeconfig``: what penstock gets; ``admin``: an administrator's, for what tests themselves look at and prepare
    (the same one where it is None).
    """

    kubeconfig: Path
    folder: Path | None = None
    admin: Path | None = None

    def read_kubeconfig(self) -> bytes:
        return self.kubeconfig.read_bytes()

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
        """One plain request as admin (bypassing the adapter under test): status and decoded JSON.

        Header names have ``_`` for ``-``; the default content type is JSON.
        """
        return call((self.admin or self.kubeconfig).read_bytes(), method, path, body, **headers)

    def with_identity(self, profile: str = "admin", accounts: Sequence[str] = (), **how: Any) -> "ControlPlane":
        """The same one, where penstock gets an identity with exactly the rights that it prints for a profile."""
        admin = self.admin or self.kubeconfig
        text = identities.printed(profile, accounts)
        identities.grant(self.call, text)
        cluster, _ = _current(admin.read_bytes())
        made = identities.kubeconfig(self.call, cluster, text, **how)
        file = Path(os.environ[RUN_FOLDER]) / f"{profile}-{secrets.token_hex(4)}.kubeconfig"
        file.touch(mode=0o600)
        file.write_bytes(made)
        return replace(self, kubeconfig=file, admin=admin)

    def kubeconfig_for(self, user: str) -> bytes:
        """A kubeconfig of an administrator of that name, whose requests ``audited`` can tell from all others."""
        config = yaml.safe_load(self.read_kubeconfig())
        identities.grant(self.call, _ADMINISTRATOR.format(user=user))
        certificate, key = (base64.b64encode(pem).decode() for pem in issue(self._own_folder(), subject(user)))
        config["users"][0]["user"] = {"client-certificate-data": certificate, "client-key-data": key}
        return json.dumps(config).encode()

    @contextlib.contextmanager
    def audited(self, user: str) -> Iterator[Counter[str]]:
        """Counts the API server's own records of a user's requests within the block, by verb.

        ``user``: see ``kubeconfig_for``; requests that it makes while impersonating another count too.
        """
        counted: Counter[str] = Counter()
        with self.recorded(user) as records:
            yield counted
        counted.update({r["auditID"]: r["verb"] for r in records}.values())  # a watch has two records

    @contextlib.contextmanager
    def recorded(self, user: str) -> Iterator[list[dict]]:
        """The API server's own records of a user's requests within the block; there when it ends."""
        log = self._own_folder() / "audit.log"
        self._flush(log)
        start = log.stat().st_size
        found: list[dict] = []
        yield found
        self._flush(log)
        with log.open("rb") as file:
            file.seek(start)
            records = [json.loads(line) for line in file if line.endswith(b"\n")]
        found += (r for r in records if r["user"].get("username") == user)

    def power(self, part: str, *, on: bool) -> None:
        """Kill (SIGKILL) etcd or apiserver, or start it again; ``answers`` tells when the whole does."""
        order = self._own_folder() / f"{'start' if on else 'kill'}-{part}"
        order.touch()
        deadline = time.monotonic() + 60
        while order.exists():
            assert time.monotonic() < deadline, f"see {self.folder}/{part}.log"
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether the API server is ready."""
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def _own_folder(self) -> Path:
        if self.folder is None:
            pytest.skip(f"{NAMED}: keys and audit log of a named cluster are not ours; unset it")
        return self.folder

    def _flush(self, log: Path) -> None:
        mark = secrets.token_hex(8)
        self.call("GET", f"/version?mark={mark}")
        deadline = time.monotonic() + 10
        while mark.encode() not in log.read_bytes():
            assert time.monotonic() < deadline, f"{log} is not written"
            time.sleep(0.02)


_ADMINISTRATOR = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: "administrator-{user}"}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: "{user}"}}]
"""


def call(kubeconfig: bytes, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
    """See ControlPlane.call; by a kubeconfig with everything inline (token or client certificate)."""
    cluster, user = _current(kubeconfig)
    sent = {"Content-Type": "application/json"}
    if "token" in user:
        sent["Authorization"] = f"Bearer {user['token']}"
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(cluster["server"] + path, data=data, method=method, headers=sent)
    tls = _tls(cluster, user) if cluster["server"].startswith("https:") else None
    try:
        with urllib.request.urlopen(request, timeout=30, context=tls) as answer:
            return answer.status, _decoded(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _decoded(error.read())


def _current(kubeconfig: bytes) -> tuple[dict, dict]:
    config = yaml.safe_load(kubeconfig)
    named = {s: {e["name"]: e[s[:-1]] for e in config[s]} for s in ("clusters", "users", "contexts")}
    context = named["contexts"][config["current-context"]]
    return named["clusters"][context["cluster"]], named["users"][context["user"]]


def _tls(cluster: dict, user: dict) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # see process.py
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as file:
            file.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
            file.write(base64.b64decode(user["client-key-data"]))
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _decoded(data: bytes) -> dict:
    try:
        return json.loads(data or b"{}")
    except ValueError:
        return {"text": data.decode()}


def pytest_configure(config: pytest.Config) -> None:
    """The run's folder is named here, before xdist starts its workers, who inherit the variable."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_FOLDER] = tempfile.mkdtemp(prefix="penstock-test-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that named the folder stops what the workers started."""
    if hasattr(config, "workerinput"):
        return
    folder = Path(os.environ.pop(RUN_FOLDER))
    pid = folder / "pid"
    if pid.exists():
        _stop(int(pid.read_text()))
    shutil.rmtree(folder, ignore_errors=True)


def _stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):  # ours only where there are no workers
                os.waitpid(pid, os.WNOHANG)
            os.kill(pid, 0)
            time.sleep(0.05)


@pytest.fixture(scope="session")
def control_plane() -> ControlPlane:
    """The run's control plane, or the cluster that PENSTOCK_TEST_KUBECONFIG names. Skips where neither is."""
    if named := os.environ.get(NAMED):
        return _named(Path(named))
    if tool("controlplane") is None:
        pytest.skip("no Kubernetes control plane is built here: run `make tools`")
    folder = Path(os.environ[RUN_FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "pid").exists():
            _start(folder)
        return ControlPlane(kubeconfig=folder / "kubeconfig", folder=folder).with_identity()


@pytest.fixture
def own_control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of this test's own, whose parts it may kill."""
    if tool("controlplane") is None:
        pytest.skip("no Kubernetes control plane is built here: run `make tools`")
    folder = tmp_path / "control-plane"
    folder.mkdir()
    _start(folder)
    yield ControlPlane(kubeconfig=folder / "kubeconfig", folder=folder).with_identity()
    _stop(int((folder / "pid").read_text()))


def _start(folder: Path) -> None:
    worker = "PYTEST_XDIST_WORKER" in os.environ
    parent = os.getppid() if worker else os.getpid()
    command = [sys.executable, str(HERE / "process.py"), str(folder), str(parent)]
    with (folder / "supervisor.log").open("wb") as log:
        started = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    (folder / "pid").write_text(str(started.pid))
    deadline = time.monotonic() + 120
    while not (folder / "ready").exists():
        if (folder / "failed").exists() or started.poll() is not None or time.monotonic() > deadline:
            reason = (folder / "failed").read_text() if (folder / "failed").exists() else ""
            logs = {f.name: f.read_text()[-1500:] for f in folder.glob("*.log") if f.name != "audit.log"}
            (folder / "pid").unlink()
            pytest.fail(f"the control plane did not start: {reason}\n{json.dumps(logs, indent=1)}")
        time.sleep(0.05)
    started.returncode = 0  # not ours to wait for: the supervisor outlives this fixture, pytest_unconfigure ends it


def _named(kubeconfig: Path) -> ControlPlane:
    plane = ControlPlane(kubeconfig=kubeconfig)
    status, _ = plane.call("GET", "/api/v1/namespaces/kube-system/configmaps/penstock-disposable")
    if status != 200:
        pytest.fail(
            f"{NAMED}={kubeconfig} names a cluster that is not marked disposable. Where it may be destroyed:"
            f" kubectl --kubeconfig {kubeconfig} -n kube-system create configmap penstock-disposable"
        )
    return plane.with_identity()


@pytest.fixture
def real_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own on the control plane; its deletion is asked for, not awaited."""
    name = f"test-{secrets.token_hex(4)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    status, answer = control_plane.call("POST", "/api/v1/namespaces", body)
    assert status == 201, answer
    yield name
    control_plane.call("DELETE", f"/api/v1/namespaces/{name}")
