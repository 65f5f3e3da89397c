"""A plane in a cloud is restored as docs/operations.md says, on the clouds' own stores: with the backup of the records, and
without one. Everything else is lost: later records, artifacts, copies of Secrets, messages.
"""

import contextlib

import pytest
from tests.aws.plane import in_process, make_bucket, make_queues, make_table
from tests.aws.test_flow import AwsPlane
from tests.formats import FIRST, start
from tests.google import flow
from tests.memory_plane import OneCluster, config_map
from tests.stages.test_reconcile_adoption import OTHER, adopt, owners

from penstock.adapters.clock.memory import SimulatedClock
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.wiring import functions, lambda_functions, load_pipeline
from penstock.wiring.lazy import Once

pytestmark = pytest.mark.slow
"""Four minutes: each look at a record is a request."""
LATER = {"apps/a.yaml": config_map("a", x="2"), "apps/b.yaml": None, "apps/d.yaml": config_map("d", x="2")}
HEAD = {"a": {"x": "3"}, "b": None, "c": {"x": "1"}, "d": {"x": "2"}}


@contextlib.contextmanager
def on_aws(monkeypatch):
    clock = SimulatedClock()
    with in_process(clock) as clients:
        make_queues(clients, load_pipeline())
        make_table(clients)
        make_bucket(clients)

        def make():
            plane = AwsPlane(clock)
            monkeypatch.setattr(lambda_functions, "runtime", Once(lambda: plane.runtime))
            return plane

        yield make


@contextlib.contextmanager
def on_google(monkeypatch):
    with flow.services() as services, flow.emptied(services):

        def make():
            plane = flow.GooglePlane(services)
            monkeypatch.setattr(functions, "runtime", Once(lambda: plane.runtime))
            return plane

        yield make


@pytest.fixture(params=[on_aws, on_google], ids=["aws", "google"])
def make(request, monkeypatch):
    with request.param(monkeypatch) as made:
        yield made


def begun(make):
    plane = make()
    start(plane)
    plane.push(FIRST)
    plane.settle()
    assert ready(plane) == {"True"}
    return plane


def after_the_loss(make, before):
    """The functions of a plane whose stores are empty, on the same repository and cluster, some minutes later."""
    plane = make()
    for record in plane.state.list(""):
        plane.state.delete(record.key, expected=None)
    for digest in plane.storage.digests():
        plane.storage.delete(digest)
    for name in plane.secrets.names():
        plane.secrets.delete(name, owner="f" * 32)
    assert (plane.state.list(""), plane.secrets.names()) == ((), ())
    drop_messages(plane)
    plane.cluster, plane.git, plane.files = before.cluster, before.git, dict(before.files)
    plane.clusters = OneCluster(before.cluster)
    late = before.clock.now() - plane.clock.now()
    plane.clock.advance(late.total_seconds() + 400)
    plane.cluster.calls.clear()
    return plane


def drop_messages(plane):
    """Each stage's are taken by nobody: a function without a plane finds nothing to do."""
    plane.settle()


def ready(plane):
    return {plane.ready(name).partition(" ")[0] for name in ("flux-system", "apps", "web")}


def deletions(plane):
    return [what for verb, what in plane.writes() if verb == "delete" and "Lease" not in what]


def shown(plane):
    return {name: plane.config_map(name) for name in HEAD}


def test_with_a_backup_of_the_records(make):
    before = begun(make)
    backup = before.state.list("")
    before.push(LATER)
    before.settle()
    plane = after_the_loss(make, before)
    for record in backup:
        plane.state.put(record.key, record.value, expected=None, due=record.due)
    plane.files |= {"apps/a.yaml": config_map("a", x="3")}
    commit(plane)
    plane.tick()
    plane.settle()
    assert ready(plane) == {"True"}
    assert shown(plane) == HEAD
    assert deletions(plane) == []
    assert plane.secrets.get(secret_name(WEBHOOK, "prod", "flux-system", "hook")) == {"token": b"token"}
    assert set(owners(plane).values()) == {"f" * 32}


def test_without_one(make):
    before = begun(make)
    before.push(LATER)
    before.settle()
    plane = after_the_loss(make, before)
    plane.apply_plane(uid=OTHER)
    plane.settle()
    assert plane.ready("flux-system").startswith("False OwnedByOther")
    assert plane.writes() == []
    adopt(plane)
    plane.settle()
    assert ready(plane) == {"True"}
    assert deletions(plane) == []
    assert set(owners(plane).values()) == {OTHER}
    plane.push({"apps/a.yaml": config_map("a", x="3")})
    plane.settle()
    assert shown(plane) == HEAD
    assert plane.secrets.get(secret_name(WEBHOOK, "prod", "flux-system", "hook")) == {"token": b"token"}


def commit(plane):
    """A commit that nobody tells of: the deliveries were lost with the messages."""
    from tests.memory_plane import URL

    from penstock.core.tree import blob

    tree = {path: blob(text.encode()) for path, text in plane.files.items() if text is not None}
    plane.git.commit(URL, tree, subject="change")
