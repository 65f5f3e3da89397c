"""Faults at the edges of real servers: S3 and Cloud Storage (moto, fake-gcs-server) and a real API server, through a
proxy that refuses, cuts and delays; each before and after the effect took place.
"""

import contextlib
import hashlib
import os
import random
import ssl
import threading
from dataclasses import replace
from unittest import mock

import pytest
import yaml
from tests.aws.plane import ENVIRONMENT, NAMES, on_a_server
from tests.chaos.fault_proxy import CUT_AFTER, CUT_BEFORE, CUT_IN_THE_MIDDLE, EVERYTHING, SLOW, FaultProxy
from tests.google import plane as google
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace
from tests.real_plane import REAL, RealPlane, connections, tidy

from penstock.adapters.aws.clients import Clients
from penstock.adapters.storage.gcs import GcsStorage
from penstock.adapters.storage.s3 import S3Storage
from penstock.core.errors import Transient

PASSING = [each for each in EVERYTHING if each != "412"]
"""A server says 412 only where the condition does not hold: the contract suite has that."""


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Once:
    """A plan: the next ``times`` requests meet a fault."""

    def __init__(self):
        self.what, self.times = "", 0

    def __call__(self, method, path):
        if self.times:
            self.times -= 1
            return self.what
        return ""

    def next(self, what, times=1):
        self.what, self.times = what, times


class Often:
    """A plan: by chance, one request after the other."""

    def __init__(self, seed, share, faults=PASSING, only=lambda method, path: True):
        self.chance, self.share, self.faults, self.only = random.Random(seed), share, faults, only
        self.calm, self.lock = True, threading.Lock()

    def __call__(self, method, path):
        with self.lock:
            if self.calm or not self.only(method, path) or self.chance.random() >= self.share:
                return ""
            return self.chance.choice(self.faults)


@pytest.fixture(params=["s3", "gcs"], scope="module")
def server(request):
    """(kind, base URL) of a server with an empty bucket."""
    if request.param == "gcs":
        with google.storage() as base:
            body = {"name": google.names().bucket}
            google.request("POST", f"{base}/storage/v1/b?project={google.PROJECT}", body)
            yield "gcs", base
        return
    with on_a_server() as (host, port):
        yield "s3", f"http://{host}:{port}"


@contextlib.contextmanager
def behind(server, plan):
    """The storage adapter behind a proxy with that plan."""
    kind, base = server
    with FaultProxy(base, plan).running() as proxy, contextlib.ExitStack() as stack:
        if kind == "gcs":
            yield GcsStorage(google.client(), google.names(storage=proxy.url)), proxy
        else:
            stack.enter_context(mock.patch.dict(os.environ, {**ENVIRONMENT, "AWS_ENDPOINT_URL": proxy.url}))
            yield S3Storage(Clients(NAMES.region), NAMES.bucket), proxy


@pytest.mark.parametrize("what", PASSING)
def test_storage_gets_over_what_passes(server, what):
    plan = Once()
    data = f"{what} {random.random()}".encode() * 1_000
    with behind(server, plan) as (storage, proxy):
        plan.next(what)
        stored = storage.put(digest(data), data)
        assert stored is True or what in (CUT_AFTER, CUT_IN_THE_MIDDLE), "it was there already: by this very call"
        for call in (storage.get, lambda name: name in storage.digests() and data):
            plan.next(what)
            if what == CUT_IN_THE_MIDDLE and isinstance(storage, S3Storage):  # a body is not asked for again
                with contextlib.suppress(Transient):
                    call(digest(data))
            assert call(digest(data)) == data
        plan.next(what)
        storage.delete(digest(data))
        assert storage.get(digest(data)) is None
        assert len(proxy.happened) == 4


@pytest.mark.parametrize("what", ["503", CUT_BEFORE, CUT_AFTER])
def test_storage_that_stays_away_is_said_to_be_and_holds_all_or_nothing(server, what):
    plan = Once()
    data = f"{what} {random.random()}".encode() * 1_000
    with behind(server, plan) as (storage, proxy):
        plan.next(what, times=100)
        for call in (lambda: storage.put(digest(data), data), lambda: storage.get(digest(data)), storage.digests):
            with pytest.raises(Transient):
                call()
        assert 9 <= len(proxy.happened) <= 15, "a few attempts each, no more"
        plan.next("", times=0)
        assert storage.get(digest(data)) == (data if what == CUT_AFTER else None)
        storage.put(digest(data), data)
        assert storage.get(digest(data)) == data


def story(plane):
    """Two commits; what is there in the end."""
    plane.push(
        {
            "clusters/prod/base.yaml": kustomization("base", "./base"),
            "clusters/prod/web.yaml": kustomization("web", "./web", dependsOn=[{"name": "base"}]),
            "base/a.yaml": config_map("a", "default", x="1"),
            "base/b.yaml": config_map("b", "default", x="1"),
            "web/c.yaml": config_map("c", "default", x="1"),
        }
    )
    plane.settle()
    plane.push({"base/a.yaml": config_map("a", "default", x="2"), "base/b.yaml": None})
    for _ in range(5):
        plane.settle()
        plane.clock.advance(300)
        plane.tick()
    plane.settle()
    return {
        **{name: plane.config_map(name, "default") for name in ("a", "b", "c")},
        **{name: plane.ready(name) for name in ("base", "web", "flux-system")},
    }


def test_a_plane_whose_storage_fails_every_other_time_ends_where_one_without_faults_does(server):
    plan = Often(7, 0.5)
    with behind(server, plan) as (storage, proxy):
        plane = MemoryPlane()
        plane.deps = replace(plane.deps, storage=storage)
        plan.calm = False
        found = story(plane)
        plan.calm = True
        assert found == story(MemoryPlane())
        assert found["b"] is None
        assert len(proxy.happened) > 10
        named = plane.state.get("status/-/GitRepository/flux-system/flux-system").value["artifact"]
        assert storage.get(named) is not None


# the API server

SPACE = "faults"
MANY = 8


def at(kubeconfig, url):
    """The kubeconfig with another address of its server."""
    config = yaml.safe_load(kubeconfig)
    config["clusters"][0]["cluster"]["server"] = url
    return yaml.safe_dump(config).encode()


class Behind:
    """A control plane as penstock reaches it: through a proxy."""

    def __init__(self, control_plane, proxy):
        self._control_plane, self._proxy = control_plane, proxy

    def read_kubeconfig(self):
        return at(self._control_plane.read_kubeconfig(), self._proxy.url)


@contextlib.contextmanager
def plane_behind(control_plane, plan):
    folder = control_plane._own_folder()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.crt", folder / "server.key")
    with FaultProxy(
        yaml.safe_load(control_plane.read_kubeconfig())["clusters"][0]["cluster"]["server"], plan, tls
    ).running() as proxy:
        tidy(control_plane)
        yield RealPlane(control_plane, clusters=connections(Behind(control_plane, proxy), seconds=5)), proxy
        tidy(control_plane)
        control_plane.call("DELETE", f"/api/v1/namespaces/{SPACE}")


def names(control_plane):
    items = control_plane.call("GET", f"/api/v1/namespaces/{SPACE}/configmaps")[1]["items"]
    return {i["metadata"]["name"]: i["data"] for i in items if i["metadata"]["name"].startswith("c")}


class TestApiServer:
    """429, 500, cut connections: before and after their effect, at reads and writes alike."""

    pytestmark = REAL

    @pytest.mark.parametrize("seed", [1, 2])
    def test_pushes_through_a_bad_connection_end_at_the_head(self, control_plane, seed):
        faults = ["429", "500", "503", CUT_BEFORE, CUT_AFTER, CUT_IN_THE_MIDDLE, SLOW]
        plan = Often(seed, 0.3, faults, only=lambda method, path: "watch=" not in path)
        user = "system:serviceaccount:penstock-system:penstock-admin"
        with plane_behind(control_plane, plan) as (plane, proxy), control_plane.recorded(user) as requests:
            plan.calm = False
            files = {"clusters/prod/apps.yaml": kustomization("apps", "apps"), "apps/namespace.yaml": namespace(SPACE)}
            plane.push({**files, **{f"apps/c{n}.yaml": config_map(f"c{n}", SPACE, k="1") for n in range(MANY)}})
            self.settle(plane, control_plane, {f"c{n}": {"k": "1"} for n in range(MANY)})
            uids = self.uids(control_plane)
            for k in ("2", "3", "4"):
                plane.push({f"apps/c{n}.yaml": config_map(f"c{n}", SPACE, k=k) for n in range(MANY // 2)})
                self.settle(plane, control_plane, {f"c{n}": {"k": k if n < MANY // 2 else "1"} for n in range(MANY)})
            plane.push({f"apps/c{MANY - 1}.yaml": None})
            wanted = {f"c{n}": {"k": "4" if n < MANY // 2 else "1"} for n in range(MANY - 1)}
            self.settle(plane, control_plane, wanted)
            plan.calm = True
            plane.until("apps", "True", seconds=60)
            assert names(control_plane) == wanted
            met = [what for _, _, what in proxy.happened]
        assert len(met) > 15
        assert {CUT_BEFORE, CUT_AFTER, CUT_IN_THE_MIDDLE} & set(met)
        assert {n: uid for n, uid in uids.items() if n in wanted} == self.uids(control_plane), "nothing was made anew"
        deleted = {r["objectRef"]["name"] for r in requests if r["verb"] == "delete" and SPACE in r["requestURI"]}
        assert deleted == {f"c{MANY - 1}"}

    def settle(self, plane, control_plane, wanted):
        """Until the head is there: a failure is tried again when it is due."""
        for _ in range(40):
            plane.settle(seconds=70)
            if names(control_plane) == wanted and plane.ready("apps").startswith("True"):
                return
            plane.clock.advance(60)
            plane.tick()
        assert names(control_plane) == wanted, plane.ready("apps")

    def uids(self, control_plane):
        items = control_plane.call("GET", f"/api/v1/namespaces/{SPACE}/configmaps")[1]["items"]
        return {i["metadata"]["name"]: i["metadata"]["uid"] for i in items if i["metadata"]["name"].startswith("c")}
