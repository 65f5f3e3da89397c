"""Starts and stops a real Kubernetes control plane on loopback; no state outside its folder.

``python process.py FOLDER PARENT_PID`` is the supervisor: it starts every part, writes ``FOLDER/ready`` (or
``FOLDER/failed`` with the reason), and stops them all, the API server before etcd (which it would otherwise
wait for), when it is told to (SIGTERM) or when PARENT_PID is gone. So a killed test run leaves nothing behind.
"""

import base64
import contextlib
import datetime as dt
import ipaddress
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
SIZE = {"cpu": "10k", "memory": "10Ti", "pods": "20k"}
"""Of the one node: no test's pods wait for room, however many others are just going."""

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "kwok-node-0",
        "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
        "labels": {"kubernetes.io/hostname": "kwok-node-0", "kubernetes.io/os": "linux", "type": "kwok"},
    },
    "status": {
        "allocatable": SIZE,
        "capacity": SIZE,
    },
}
DISPOSABLE = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "penstock-disposable", "namespace": "kube-system"},
}


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class ControlPlane:
    """The processes of one control plane in one folder."""

    audit_policy: ClassVar[Mapping[str, Any]] = AUDIT_POLICY
    kwok_flags: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, *, controlplane: Path, kwok: Path | None) -> None:
        self.folder, self.binary, self.kwok = folder, controlplane, kwok
        self.token = secrets.token_urlsafe(24)
        self.port, self.etcd_port, self.peer_port, self.kwok_port = free_ports(4)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self, *, patience: float = 60.0) -> None:
        """Returns when Deployments become ready here; raises RuntimeError naming the log to read."""
        self._write_files()
        self._run("etcd", self._etcd())
        self._run("apiserver", self._apiserver())
        self._wait("/readyz", patience)
        self._run("controller-manager", self._controller_manager())
        self._run("scheduler", self._follower("scheduler"))
        self._create("/api/v1/nodes", NODE)
        self._wait("/api/v1/namespaces/kube-system", patience)
        self._create("/api/v1/namespaces/kube-system/configmaps", DISPOSABLE)
        self.tend()
        self._wait("/api/v1/namespaces/default/serviceaccounts/default", patience)

    def stop(self) -> None:
        """The API server goes before etcd: the other way round it hangs until it is killed."""
        for names in (("kwok", "scheduler", "controller-manager", "apiserver"), ("etcd",)):
            running = [self.processes[n] for n in names if n in self.processes]
            for each in running:
                each.terminate()
            for each in running:
                try:
                    each.wait(5)
                except subprocess.TimeoutExpired:
                    each.kill()
                    each.wait()

    def obey(self) -> None:
        """Kills and starts parts as files ``kill-NAME`` and ``start-NAME`` in the folder ask for it (fixtures.power)."""
        for order in (*self.folder.glob("kill-*"), *self.folder.glob("start-*")):
            verb, _, name = order.name.partition("-")
            if verb == "kill":
                self.processes[name].kill()
                self.processes[name].wait()
            else:
                self._run(name, {"etcd": self._etcd, "apiserver": self._apiserver}[name]())
            order.unlink()

    def dead(self) -> list[str]:
        """The parts that ended by themselves (kwok is started again by ``tend``)."""
        ended = [name for name, each in self.processes.items() if each.poll() is not None]
        return [name for name in ended if name != "kwok"]

    def tend(self) -> None:
        """Starts kwok where it does not run: 0.7.0 now and then dies at start of a data race of its own."""
        running = self.processes.get("kwok")
        if self.kwok is None or (running is not None and running.poll() is None):
            return
        managed = "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"  # a test's own node has no kubelet
        flags = ("--kubeconfig", "kubeconfig", "--manage-all-nodes=false", managed, "--cidr", "10.1.0.1/16")
        self._run("kwok", [str(self.kwok), *flags, *self.kwok_flags, "--server-address", f"127.0.0.1:{self.kwok_port}"])

    def _run(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={"HOME": str(self.folder), "PATH": os.environ.get("PATH", "")},
            )

    def _etcd(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        return [
            *(str(self.binary), "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--log-level", "warn"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]

    def _apiserver(self) -> list[str]:
        return [
            *(str(self.binary), "apiserver", "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}"),
            *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(self.port)),
            *("--tls-cert-file", "server.crt", "--tls-private-key-file", "server.key", "--cert-dir", "certs"),
            *("--authorization-mode", "RBAC", "--token-auth-file", "tokens.csv", "--client-ca-file", "ca.crt"),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-account-key-file", "sa.key", "--service-account-signing-key-file", "sa.key"),
            *("--service-cluster-ip-range", "10.0.0.0/16", "--shutdown-delay-duration", "0s"),
            *("--audit-policy-file", "audit-policy.json", "--audit-log-path", "audit.log"),
            *("--audit-log-maxsize", "1000"),
        ]

    def _controller_manager(self) -> list[str]:
        keys = ["--service-account-private-key-file", "sa.key", "--root-ca-file", "ca.crt"]
        return [*self._follower("controller-manager"), *keys, "--use-service-account-credentials=false"]

    def _follower(self, name: str) -> list[str]:
        unhurried = [
            "--kube-api-qps",
            "500",
            "--kube-api-burst",
            "1000",
        ]  # 20 a second leave tests of one run in a queue
        flags = ["--kubeconfig", "kubeconfig", "--secure-port", "0", "--leader-elect=false", *unhurried]
        return [str(self.binary), name, *flags]

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ca = write_certificates(self.folder)
        _private(self.folder / "tokens.csv", f"{self.token},admin,admin,system:masters\n".encode())
        (self.folder / "audit-policy.json").write_text(json.dumps(self.audit_policy))
        _private(self.folder / "kubeconfig", kubeconfig(self.url, ca, self.token))
        self._tls = ssl.create_default_context(cadata=ca.decode())
        self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 asks for extensions that this CA lacks

    def _call(self, path: str, body: object = None) -> int:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5, context=self._tls) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def _wait(self, path: str, patience: float) -> None:
        deadline = time.monotonic() + patience
        while self._call(path) != 200:
            if dead := self.dead():
                raise RuntimeError(f"{dead[0]} ended: see {self.folder}/{dead[0]}.log")
            if "kwok" in self.processes:
                self.tend()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} was not there within {patience:.0f} s: see {self.folder}/*.log")
            time.sleep(0.05)

    def _create(self, path: str, body: object) -> None:
        status = self._call(path, body)
        if status not in {201, 409}:
            raise RuntimeError(f"POST {path} answered {status}: see {self.folder}/apiserver.log")


def kubeconfig(url: str, ca: bytes, token: str) -> bytes:
    """A kubeconfig (JSON is YAML) with the certificate authority inline and a token."""
    inline = base64.b64encode(ca).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": inline}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
    return json.dumps(document, indent=1).encode()


def write_certificates(folder: Path) -> bytes:
    """ca.crt/.key, server.crt/.key (127.0.0.1), sa.key. Returns the authority's PEM."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "penstock test authority")])
    basic = x509.BasicConstraints(ca=True, path_length=0)
    ca = _certificate(name, name, ca_key.public_key()).add_extension(basic, critical=True)
    ca_pem = ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "ca.crt").write_bytes(ca_pem)
    _private(folder / "ca.key", _pem(ca_key))
    certificate, key = issue(folder, x509.Name([]))
    (folder / "server.crt").write_bytes(certificate)
    _private(folder / "server.key", key)
    _private(folder / "sa.key", _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return ca_pem


def subject(user: str) -> x509.Name:
    """The subject of a client certificate of that user, in no group."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])


def issue(folder: Path, owner: x509.Name) -> tuple[bytes, bytes]:
    """Certificate and key (PEM) for a subject, at 127.0.0.1, by the authority in ``folder``."""
    ca = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    made = _certificate(owner, ca.subject, key.public_key())
    made = made.add_extension(x509.SubjectAlternativeName(names), critical=not list(owner))
    return made.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _pem(key)


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=2))
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def supervise(folder: Path, parent: int, make: Callable[[], ControlPlane]) -> None:
    """Starts, reports, waits for SIGTERM or the parent's end, stops.

    Two attempts: between finding a free port and listening on it, somebody else may take it.
    """
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stop.append(received))
    for last in (False, True):
        plane = make()
        try:
            plane.start()
            (folder / "ready").touch()
            while not stop and _alive(parent):
                plane.tend()
                plane.obey()
                time.sleep(0.1)
        except RuntimeError as error:
            if last:
                (folder / "failed").write_text(str(error))
        else:
            return
        finally:
            plane.stop()
        shutil.rmtree(folder / "etcd", ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    from build import tool

    binary = tool("controlplane")
    if binary is None:
        sys.exit("the control plane is not built: run `make tools`")
    where = Path(sys.argv[1]).resolve()
    supervise(where, int(sys.argv[2]), lambda: ControlPlane(where, controlplane=binary, kwok=tool("kwok")))
