"""fetch: what is stored, recorded, told and woken for each look at a source."""

import base64
from dataclasses import replace

import pytest
from tests.contract.registries import login as registry_login
from tests.google import plane as google
from tests.google.secret_manager import secret_manager

from penstock.adapters.buckets.memory import MemoryBuckets
from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.git.memory import MemoryGit
from penstock.adapters.registry.memory import MemoryRegistry, archive, manifest_of
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.secrets.secretmanager import SecretManagerSecrets
from penstock.adapters.secrets.stored import NEWEST_SECONDS
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.core.errors import Conflict, NotFound, Transient
from penstock.core.messages import PLANE, ArtifactStored, Event, SourceChanged
from penstock.core.records import (
    Condition,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    object_key,
    status_key,
)
from penstock.core.secrets.names import FETCH, secret_name
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.sources.artifact import decode
from penstock.core.sources.index import ENTRY, any_key, entries_of, indexed_key
from penstock.core.sources.wakeups import source_of
from penstock.core.tree import Inputs, blob
from penstock.ports.deps import Deps
from penstock.stages import fetch

URL = "https://git.example.com/fleet"
OWN = ("GitRepository", "flux-system", "flux-system")
READY = (Condition(type="Ready", status="True", reason="Succeeded", message=""),)
PUSH = SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system", hint="anything")


def git_document(name="flux-system", namespace="flux-system", **spec):
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"url": URL, "interval": "5m", "ref": {"branch": "main"}, **spec},
    }


def generator_document(*copies, name="split", artifact="apps"):
    return {
        "apiVersion": "source.extensions.fluxcd.io/v1beta1",
        "kind": "ArtifactGenerator",
        "metadata": {"namespace": "flux-system", "name": name},
        "spec": {
            "sources": [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
            "artifacts": [
                {
                    "name": artifact,
                    "originRevision": "@repo",
                    "copy": [{"from": f"@repo/{source}", "to": f"@artifact/{to}"} for source, to in copies],
                }
            ],
        },
    }


@pytest.fixture(autouse=True, params=["index", "no index"])
def indexed(request, monkeypatch):
    """With the index entries that reconcile keeps, and before it has made any."""
    monkeypatch.setattr(World, "indexed", request.param == "index")


class World:
    """A plane with two clusters and its own source; shorthands for what a test changes and looks at."""

    indexed = True

    def __init__(self, *clusters):
        self.clock, self.git, self.state = SimulatedClock(), MemoryGit(), MemoryState()
        self.secrets, self.storage, self.telemetry = MemorySecrets(), MemoryStorage(), MemoryTelemetry()
        self.registry, self.buckets = MemoryRegistry(), MemoryBuckets()
        unused = None
        self.deps = Deps(
            buckets=self.buckets, clock=self.clock, clusters=unused, downloads=unused, git=self.git, keys=unused, notifier=unused,
            registry=self.registry, secrets=self.secrets, state=self.state, storage=self.storage, telemetry=self.telemetry,
        )  # fmt: skip
        self.clusters = clusters or ("production",)
        self.plane()
        for cluster in (PLANE, *self.clusters):
            self.object(git_document(), cluster=cluster, implicit=True)
        for cluster in self.clusters:
            if self.indexed:
                self.entries(indexed_key(cluster))
            self.kustomization("flux-system", cluster=cluster, path="clusters", parent="")

    def plane(self, **policy):
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "plane"},
            "spec": {
                "source": {"url": URL},
                "clusters": [{"name": name, "path": "clusters"} for name in self.clusters],
                "policy": policy,
            },
        }
        self.state.put("plane", PlaneRecord(uid="u", document=document).to_value(), expected=None)

    def object(self, document, *, cluster="production", **more):
        metadata = document["metadata"]
        key = object_key(cluster, document["kind"], metadata["namespace"], metadata["name"])
        self.state.put(key, ObjectRecord(document=document, **more).to_value(), expected=None)

    def kustomization(self, name, *, path, cluster="production", parent="flux-system/flux-system", source=None, **spec):
        document = {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"namespace": "flux-system", "name": name},
            "spec": {"path": path, "sourceRef": source or {"kind": "GitRepository", "name": "flux-system"}, **spec},
        }
        self.object(document, cluster=cluster, parent=parent)
        self.entries(any_key(cluster, source_of(ObjectRecord(document=document)), f"flux-system/{name}"))

    def entries(self, *keys):
        for key in keys if self.indexed else ():
            self.state.put(key, ENTRY, expected=None)

    def reconciled(self, name, *files, cluster="production", of=OWN, at=PLANE, ready=True):
        """Record that a Kustomization has rendered these files at its source's present state."""
        source = self.status(at, *of)
        inputs = Inputs(files=files)
        status = KustomizationStatus(
            conditions=READY if ready else (),
            observed_generation=1,
            observation=source.observation,
            observed_source="/".join(of),
            last_attempted_revision=source.revision,
            inputs=inputs,
            inputs_digest=inputs.digest(decode(self.storage.get(source.artifact))),
        )
        self.state.put(status_key(cluster, "Kustomization", "flux-system", name), status.to_value(), expected=None)
        ref = f"flux-system/{name}"
        self.state.delete(any_key(cluster, "/".join(of), ref), expected=None)
        self.entries(*entries_of(cluster, ref, status, 1))

    def push(self, files, subject="change", url=URL):
        return self.git.commit(url, {path: blob(data.encode()) for path, data in files.items()}, subject=subject)

    def run(self, message=PUSH, *, attempt=0):
        return fetch.run(message, replace(self.deps, attempt=attempt or self.deps.attempt))

    def settle(self, message=PUSH):
        """Run until nothing is left to announce."""
        self.run(message)
        self.run(message)

    def status(self, cluster=PLANE, *name):
        found = self.state.get(status_key(cluster, *(name or OWN)))
        return SourceStatus.from_value(found.value) if found else None

    def due_in(self, cluster=PLANE):
        return self.state.get(status_key(cluster, *OWN)).due - self.clock.now().timestamp()

    def files(self, status):
        return {path: found.data.decode() for path, found in decode(self.storage.get(status.artifact)).items()}


def events(outgoing):
    return [
        (each.message.severity, each.message.reason, each.message.message)
        for each in outgoing
        if isinstance(each.message, Event)
    ]


def woken(outgoing):
    return [
        f"{each.message.cluster}/{each.message.name}" for each in outgoing if isinstance(each.message, ArtifactStored)
    ]


def test_a_first_look_stores_the_tree_and_wakes_the_roots():
    world = World("production", "staging")
    commit = world.push({"a.yaml": "1", "pic.png": "x"}, subject="Begin")
    outgoing = world.run()
    status = world.status()
    assert (status.revision, status.observation) == (f"main@sha1:{commit}", 1)
    assert world.files(status) == {"a.yaml": "1"}
    assert woken(outgoing) == ["production/flux-system", "staging/flux-system"]
    assert events(outgoing) == [("info", "NewArtifact", "stored artifact for commit 'Begin'")]
    (event,) = (each.message for each in outgoing if isinstance(each.message, Event))
    assert (event.cluster, event.api_version, event.kind) == (PLANE, "source.toolkit.fluxcd.io/v1", "GitRepository")
    assert event.metadata == {"revision": status.revision, "digest": status.artifact}
    (fact,) = world.telemetry.named("source looked at")
    assert (fact["outcome"], fact["revision"], fact["hint"]) == ("changed", status.revision, "anything")


def test_nothing_new_is_nothing_but_the_due_time():
    world = World()
    world.push({"a.yaml": "1"})
    world.settle()
    world.reconciled("flux-system", "a.yaml")
    before = world.status()
    world.clock.advance(300)
    assert world.run() == []
    assert world.status().observation == before.observation == 1
    assert 285 <= world.due_in() <= 315
    assert [method for method, _ in world.git.calls].count("checkout") == 1


def test_a_push_wakes_whom_it_touches_parents_before_children():
    world = World()
    world.kustomization("apps", path="apps")
    world.kustomization("infra", path="infra")
    files = {"root.yaml": "1", "apps.yaml": "1", "infra.yaml": "1", "other": "1"}
    world.push(files)
    world.settle()
    for name, file in (("flux-system", "root.yaml"), ("apps", "apps.yaml"), ("infra", "infra.yaml")):
        world.reconciled(name, file)
    for changed, expected in (
        (("apps.yaml",), ["production/apps"]),
        (("apps.yaml", "infra.yaml"), ["production/apps", "production/infra"]),
        (("apps.yaml", "root.yaml"), ["production/flux-system"]),
        (("other",), []),
    ):
        world.push({**files, **dict.fromkeys(changed, "2")})
        assert woken(world.run()) == expected


def test_a_push_tries_again_what_failed_and_leaves_the_suspended():
    world = World()
    world.kustomization("broken", path="a")
    world.kustomization("held", path="a", suspend=True)
    world.push({"a": "1"})
    world.settle()
    world.reconciled("flux-system", "a")
    world.reconciled("broken", "a", ready=False)
    world.clock.advance(600)
    assert woken(world.run()) == []
    world.push({"a": "1", "b": "1"})
    assert woken(world.run()) == ["production/broken"]


def test_of_two_killed_one_after_the_other_neither_loses_a_wake_up():
    """Killed between its record and its publishing, and again when the message comes again."""
    world = World()
    world.push({"a": "1"})
    (event,) = events(world.run())
    world.run(attempt=2)
    outgoing = world.run(attempt=3)
    assert woken(outgoing) == ["production/flux-system"]
    assert events(outgoing) == [event]


def test_a_message_that_comes_again_wakes_though_another_has_cleared_the_announcement():
    world = World()
    world.push({"a": "1"})
    world.run()
    world.run()
    assert woken(world.run()) == []
    assert woken(world.run(attempt=2)) == ["production/flux-system"]


def test_what_is_announced_again_keeps_the_revision_that_it_was_about():
    world = World()
    world.push({"a": "1"})
    (first,) = (each.message for each in world.run() if isinstance(each.message, Event))
    world.push({"a": "2"})
    again, second = (each.message for each in world.run() if isinstance(each.message, Event))
    assert (again.id, again.metadata) == (first.id, first.metadata)
    assert second.metadata != first.metadata, "else notify takes the news for what it has told already"


def test_a_killed_invocation_loses_no_wake_up_and_no_event():
    world = World()
    world.push({"a": "1"}, subject="Begin")
    lost = world.run()
    again = world.run()
    assert woken(again) == woken(lost) == ["production/flux-system"]
    assert {each.message.id for each in again if isinstance(each.message, Event)} == {
        each.message.id for each in lost if isinstance(each.message, Event)
    }
    assert world.run() == []
    assert world.due_in() > 60


def told(outgoing):
    return {each.message.id for each in outgoing if isinstance(each.message, Event)}


def test_however_often_a_look_and_its_second_look_are_killed_they_lose_nothing():
    world = World()
    world.push({"a": "1"}, subject="Begin")
    lost = world.run()
    assert world.due_in() == 60
    for attempt in (2, 3):  # of the push's message
        again = world.run(attempt=attempt)
        assert (woken(again), told(again)) == (woken(lost), told(lost))
        assert world.due_in() == 60
    for attempt in (1, 2, 3):  # of the tick's
        world.clock.advance(60)
        again = world.run(attempt=attempt)
        assert (woken(again), told(again)) == (woken(lost), told(lost))
        assert (world.due_in() == 60) is (attempt > 1)
    world.run()
    assert world.run() == []
    assert world.due_in() > 60


def test_what_was_told_is_not_told_again_by_a_delivery_of_another_day():
    world = World()
    world.push({"a": "1"})
    world.settle()
    world.clock.advance(7_201)
    assert world.run(attempt=2) == []


def test_news_that_were_cut_short_by_further_news_are_told_beside_them():
    world = World()
    world.push({"a": "1"})
    first = told(world.run())
    world.push({"a": "2"})
    second = told(world.run())  # killed
    assert first < second
    assert told(world.run(attempt=2)) == second
    assert told(world.run()) == second
    assert world.run() == []


def test_what_is_told_again_after_midnight_is_the_same_event():
    """notify finds by the day of an event whether it was told."""
    world = World()
    world.clock.advance(86_390 - world.clock.now().timestamp() % 86_400)
    world.push({"a": "1"})
    (first,) = (each.message for each in world.run() if isinstance(each.message, Event))
    world.clock.advance(60)
    (again,) = (each.message for each in world.run() if isinstance(each.message, Event))
    assert again == first


def test_a_second_look_is_soon_and_finds_nothing_to_do_once_everybody_has_tried():
    world = World()
    world.push({"a": "1"})
    world.run()
    assert world.due_in() == 60
    world.reconciled("flux-system", "a", ready=False)
    assert woken(world.run()) == []


def test_another_commit_with_the_same_tree_is_no_new_artifact():
    world = World()
    world.push({"a": "1"})
    world.settle()
    world.reconciled("flux-system", "a")
    commit = world.push({"a": "1"})
    assert world.run() == []
    assert (world.status().observation, world.status().revision) == (2, f"main@sha1:{commit}")


def test_a_changed_document_is_looked_at_afresh_though_the_head_is_the_same():
    world = World()
    world.push({"a.yaml": "1", "b.yaml": "1"})
    world.settle()
    world.object(git_document(ignore="b.yaml"), cluster=PLANE, implicit=True, generation=2)
    assert events(world.run())[0][1] == "NewArtifact"
    assert world.files(world.status()) == {"a.yaml": "1"}
    assert world.status().observation == 2


def test_an_artifact_that_got_lost_is_stored_again():
    world = World()
    world.push({"a.yaml": "1"})
    world.settle()
    world.storage.delete(world.status().artifact)
    world.run()
    assert world.files(world.status()) == {"a.yaml": "1"}


def test_a_clusters_alias_means_the_planes_own_source():
    world = World()
    world.push({"a": "1"})
    outgoing = world.run(SourceChanged(cluster="production", namespace="flux-system", name="flux-system"))
    assert woken(outgoing) == ["production/flux-system"]
    assert world.status().observation == 1
    assert world.status("production", *OWN) is None


def test_a_source_of_one_cluster_wakes_nobody_elsewhere():
    world = World("production", "staging")
    site = {"kind": "GitRepository", "name": "site"}
    for cluster in world.clusters:
        world.kustomization("site", path=".", source=site, cluster=cluster)
    world.object(git_document("site", url="https://git.example.com/site"))
    world.push({"a": "1"}, url="https://git.example.com/site")
    outgoing = world.run(SourceChanged(cluster="production", namespace="flux-system", name="site"))
    assert woken(outgoing) == ["production/site"]
    assert outgoing[0].message.cluster == "production"


BROKEN = NotFound("no such branch", reason="GitOperationFailed")


def test_a_failure_and_its_end_are_told_once_each():
    world = World()
    world.push({"a": "1"})
    world.settle()
    world.reconciled("flux-system", "a")
    world.git.fail(URL, BROKEN)
    ids = set()
    for _ in range(6):
        for each in world.run():
            if isinstance(each.message, Event):
                ids.add(each.message.id)
                assert events([each]) == [
                    ("error", "GitOperationFailed", "failed to checkout and determine revision: no such branch")
                ]
        world.clock.advance(30)
    assert len(ids) == 1
    status = world.status()
    assert (status.error, status.observation, world.files(status)) == ("GitOperationFailed", 1, {"a": "1"})
    world.git.fail(URL, None)
    assert [each[:2] for each in events(world.run())] == [("info", "Succeeded")]
    assert world.status().error == ""


def test_a_failing_source_tries_again_by_itself_then_leaves_it_to_tick():
    world = World()
    world.git.fail(URL, BROKEN)
    waits = []
    for _ in range(12):
        retries = [each for each in world.run() if isinstance(each.message, SourceChanged)]
        waits.append(round(world.due_in(), 2))
        assert [each.delay for each in retries] == ([world.due_in()] if world.due_in() < 60 else [])
        world.clock.advance(world.due_in())
    assert waits[0] == 0.75
    assert waits == sorted(waits)
    assert waits[-1] == 300


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"verify": {"mode": "HEAD"}},
            "GitRepository/flux-system/flux-system, spec.verify.secretRef: is required",
        ),
        ({"sparseCheckout": ["../x"]}, "spec.sparseCheckout[0]: is '../x', must not lead out of the tree"),
        ({"url": "nonsense"}, "spec.url: must be http"),
    ],
)
def test_a_document_that_is_wrong_stalls_until_it_changes(spec, message):
    world = World()
    world.object(git_document(**spec), cluster=PLANE, implicit=True)
    assert len(events(world.run())) == 1
    assert {c.type for c in world.status().conditions} == {"Ready", "FetchFailed", "Stalled"}
    world.run()
    assert world.state.get(status_key(PLANE, *OWN)).due is None
    assert world.git.calls == []
    ready = world.status().conditions[0]
    assert (ready.type, ready.status) == ("Ready", "False")
    assert message in ready.message


def test_credentials_come_from_the_store_under_the_sources_own_name():
    world = World()
    world.push({"a": "1"})
    login = {"username": b"flux", "password": b"hunter2"}
    world.git.require(URL, login)
    world.object(git_document(secretRef={"name": "token"}), cluster=PLANE, implicit=True)
    first = events(world.run())
    assert first[0][:2] == ("error", "AuthenticationFailed")
    assert "flux-system/token" in first[0][2]
    assert "make fetch_--_flux--system_token there" in first[0][2]
    world.secrets.put(secret_name(FETCH, PLANE, "flux-system", "token"), login, owner="u")
    assert world.status().observation == 0
    world.run()
    assert world.status().observation == 1
    assert "hunter2" not in repr(world.telemetry.facts) + repr(world.status())


def basic(login):
    return base64.b64encode(b":".join(login.values())).decode()


@pytest.mark.parametrize("kind", ["git", "oci"])
def test_a_login_that_was_revoked_while_a_function_is_warm_is_replaced_in_the_same_look(kind):
    """Two processes of a plane: `reconcile` copies the new login, `fetch` has the old one in its cache."""
    world = World()
    old, new = ({"username": b"flux", "password": password} for password in (b"old-canary", b"new-canary"))
    name = secret_name(FETCH, "production", "flux-system", "token")
    with secret_manager() as server:
        reconcile, world.secrets = (
            SecretManagerSecrets(google.client(), google.names(secrets=server.base), world.clock) for _ in range(2)
        )
        world.deps = replace(world.deps, secrets=world.secrets)

        def require(login):
            world.git.require(URL, login)
            world.registry.logins["registry.example.com/acme/fleet"] = basic(login)

        def errors(message):
            return [reason for severity, reason, _ in events(world.run(message)) if severity == "error"]

        world.push({"a": "1"})
        blob = world.registry.put(archive({"a": b"1"}))
        world.registry.push_manifest("registry.example.com/acme/fleet", "latest", manifest_of(blob, {}))
        document = (
            git_document("site", secretRef={"name": "token"})
            if kind == "git"
            else {
                **git_document("site"),
                "kind": "OCIRepository",
                "spec": {
                    "url": "oci://registry.example.com/acme/fleet",
                    "interval": "5m",
                    "secretRef": {"name": "token"},
                },
            }
        )
        message = SourceChanged(
            cluster="production", kind=document["kind"], namespace="flux-system", name=document["metadata"]["name"]
        )
        world.object(document)

        def stored(login):
            return login if kind == "git" else registry_login("registry.example.com", basic(login))

        reconcile.put(name, stored(old), owner="uid")
        require(old)
        assert errors(message) == []
        require(new)
        reconcile.put(name, stored(new), owner="uid")
        world.clock.advance(NEWEST_SECONDS)
        assert errors(message) == []
        require(old)  # and one that is nowhere in the store is refused once more, with one look at the store
        world.clock.advance(NEWEST_SECONDS)
        server.calls.clear()
        assert errors(message) == ["AuthenticationFailed"]
        assert len(server.calls) == 1
        assert "canary" not in repr(world.telemetry.facts)


@pytest.mark.parametrize(
    ("cluster", "message", "guarded"),
    [
        (PLANE, PUSH, False),
        ("production", SourceChanged(cluster="production", namespace="flux-system", name="site"), True),
    ],
)
def test_only_the_operators_own_url_is_trusted(cluster, message, guarded):
    asked = []

    class Listening(MemoryGit):
        def resolve(self, remote, ref):
            asked.append(remote.url)
            return super().resolve(remote, ref)

    world = World()
    world.plane(allowedHosts=["10.0.0.0/8"])
    world.object(git_document(message.name), cluster=cluster, implicit=cluster == PLANE)
    object.__setattr__(world.deps, "git", Listening())
    world.run(message)
    assert [isinstance(url, GuardedUrl) for url in asked] == [guarded]
    assert not guarded or asked[0].allowed_hosts == ("10.0.0.0/8",)


def test_a_suspended_source_rests():
    world = World()
    world.push({"a": "1"})
    world.settle()
    world.object(git_document(suspend=True), cluster=PLANE, implicit=True, generation=2)
    world.push({"a": "2"})
    assert world.run() == []
    assert world.state.get(status_key(PLANE, *OWN)).due is None
    assert world.files(world.status()) == {"a": "1"}


@pytest.mark.parametrize("kind", ["GitRepository", "ArtifactGenerator", "HelmRepository"])
def test_what_the_plane_does_not_know_is_left_alone(kind):
    world = World()
    assert world.run(SourceChanged(cluster="production", kind=kind, namespace="a", name="b")) == []


def test_a_source_that_is_gone_is_forgotten():
    world = World()
    world.object(git_document("site"))
    world.push({"a": "1"})
    message = SourceChanged(cluster="production", namespace="flux-system", name="site")
    world.run(message)
    world.object(git_document("site"), tombstone=True)
    assert world.run(message) == []
    assert world.status("production", "GitRepository", "flux-system", "site") is None


def test_a_newer_observation_written_meanwhile_wins():
    world = World()
    world.push({"a": "old"})

    class Racing(MemoryGit):
        """While the first checkout is under way, somebody pushes, and another invocation records that push."""

        def checkout(self, remote, head, limits):
            tree = world.git.checkout(remote, head, limits)
            if not self.calls:
                self.calls.append(("raced", ""))
                world.push({"a": "new"})
                object.__setattr__(world.deps, "git", world.git)
                fetch.run(PUSH, world.deps)
            return tree

        def resolve(self, remote, ref):
            return world.git.resolve(remote, ref)

    object.__setattr__(world.deps, "git", Racing())
    world.run()
    assert world.files(world.status()) == {"a": "new"}
    assert world.status().observation == 1


def test_a_head_that_moves_on_between_the_questions_is_asked_for_again():
    world = World()
    first = world.push({"a": "old"})

    class Moving(MemoryGit):
        def resolve(self, remote, ref):
            return world.git.resolve(remote, ref)

        def checkout(self, remote, head, limits):
            if head.commit == first:
                world.push({"a": "new"})
                raise Transient("not our ref", reason="GitOperationFailed")
            return world.git.checkout(remote, head, limits)

    object.__setattr__(world.deps, "git", Moving())
    world.run()
    assert world.files(world.status()) == {"a": "new"}


def test_a_store_that_cannot_be_reached_is_no_failure_of_the_source():
    class Down(MemoryStorage):
        def put(self, digest, data, *, cluster=""):
            raise Transient("no storage today")

    world = World()
    world.push({"a": "1"})
    object.__setattr__(world.deps, "storage", Down())
    with pytest.raises(Transient, match="no storage today"):
        world.run()
    assert world.status() is None


EXTERNAL = ("ExternalArtifact", "flux-system", "apps")
APPS = {"kind": "ExternalArtifact", "name": "apps"}


def split(world, *copies, **more):
    world.object(generator_document(*(copies or (("apps/**", ""),)), **more))
    return SourceChanged(
        cluster="production", kind="ArtifactGenerator", namespace="flux-system", name=more.get("name", "split")
    )


def test_a_push_derives_external_artifacts_and_wakes_whom_they_touch():
    world = World()
    split(world)
    world.kustomization("apps", path=".", source=APPS)
    files = {"root.yaml": "1", "apps/a.yaml": "1", "apps/b.md": "1"}
    world.push(files)
    assert woken(world.run()) == ["production/apps", "production/flux-system"]
    external = world.status("production", *EXTERNAL)
    assert world.files(external) == {"a.yaml": "1", "b.md": "1"}
    assert external.revision == f"latest@{external.artifact}"
    world.run()
    world.reconciled("flux-system", "root.yaml")
    world.reconciled("apps", "a.yaml", of=EXTERNAL, at="production")
    for changed, expected, observation in (
        ("root.yaml", ["production/flux-system"], 1),
        ("apps/b.md", [], 2),
        ("apps/a.yaml", ["production/apps"], 3),
    ):
        world.push({**files, changed: "2"})
        assert woken(world.run()) == expected
        files[changed] = "2"
        world.push(files)
        world.run()
        assert world.status("production", *EXTERNAL).observation == observation
        world.reconciled("flux-system", "root.yaml")
        world.reconciled("apps", "a.yaml", of=EXTERNAL, at="production")


def test_a_generator_tells_what_it_made_and_where_it_came_from():
    world = World()
    message = split(world)
    commit = world.push({"apps/a.yaml": "1"})
    told = [each for each in events(world.run()) if "external artifacts" in each[2]]
    digest = world.status("production", *EXTERNAL).artifact
    assert told == [("info", "Succeeded", f"external artifacts reconciled: flux-system/apps ({digest})")]
    value = world.state.get(status_key("production", *EXTERNAL)).value
    assert (value["generator"], value["originRevision"]) == ("flux-system/split", f"main@sha1:{commit}")
    world.run(message)
    assert world.run(message) == []
    status = world.status("production", "ArtifactGenerator", "flux-system", "split")
    assert status.conditions[0].message == "reconciliation succeeded, generated 1 artifact(s)"


def test_a_new_document_of_a_generator_is_derived_at_once():
    world = World()
    message = split(world)
    world.kustomization("apps", path=".", source=APPS)
    world.push({"apps/a.yaml": "1", "other/c.yaml": "1"})
    world.settle()
    world.reconciled("apps", "a.yaml", of=EXTERNAL, at="production")
    split(world, ("other/**", ""))
    assert woken(world.run(message)) == ["production/apps"]
    assert world.files(world.status("production", *EXTERNAL)) == {"c.yaml": "1"}


def test_an_artifact_that_a_generator_no_longer_makes_is_forgotten():
    world = World()
    message = split(world)
    world.push({"apps/a.yaml": "1"})
    world.settle()
    split(world, artifact="renamed")
    world.run(message)
    assert world.status("production", *EXTERNAL) is None
    assert world.status("production", "ExternalArtifact", "flux-system", "renamed") is not None
    world.object(generator_document(("apps/**", "")), tombstone=True)
    world.run(message)
    assert world.state.list("status/production/ExternalArtifact/") == ()


@pytest.mark.parametrize(
    ("document", "reason", "message"),
    [
        (generator_document(("gone/**", "")), "BuildFailed", "artifact apps, copy[0]: no files match 'gone/**'"),
        (
            {**generator_document(("a", "")), "apiVersion": "source.extensions.fluxcd.io/v9"},
            "BuildFailed",
            "apiVersion",
        ),
    ],
)
def test_a_generator_that_fails_says_so_once_and_keeps_what_it_had(document, reason, message):
    world = World()
    wake = split(world)
    world.push({"apps/a.yaml": "1"})
    world.settle()
    world.run(wake)
    world.object(document)
    ids = {each.message.id for _ in range(4) for each in world.run(wake) if isinstance(each.message, Event)}
    assert len(ids) == 1
    status = world.status("production", "ArtifactGenerator", "flux-system", "split")
    assert status.error == reason
    assert message in status.conditions[0].message
    assert world.files(world.status("production", *EXTERNAL)) == {"a.yaml": "1"}
    split(world)
    assert [each[:2] for each in events(world.run(wake))] == [("info", "Succeeded")]


def test_a_generator_waits_for_its_source():
    world = World()
    message = split(world)
    world.run(message)
    status = world.status("production", "ArtifactGenerator", "flux-system", "split")
    assert status.error == "SourceFetchFailed"
    world.push({"apps/a.yaml": "1"})
    world.run()
    assert world.status("production", "ArtifactGenerator", "flux-system", "split").error == ""


def test_two_generators_do_not_fight_over_one_artifact():
    world = World()
    split(world)
    world.push({"apps/a.yaml": "1"})
    world.settle()
    world.run(split(world, name="other"))
    status = world.status("production", "ArtifactGenerator", "flux-system", "other")
    assert status.error == "AccessDenied"
    assert "made by ArtifactGenerator flux-system/split already" in status.conditions[0].message


def test_a_generator_of_a_generators_artifact_is_woken():
    world = World()
    split(world)
    document = generator_document(("a.yaml", ""), name="second", artifact="again")
    document["spec"]["sources"][0].update(kind="ExternalArtifact", name="apps")
    world.object(document)
    world.push({"apps/a.yaml": "1"})
    second = SourceChanged(cluster="production", kind="ArtifactGenerator", namespace="flux-system", name="second")
    assert second in [each.message for each in world.run()]
    world.run(second)
    assert world.files(world.status("production", "ExternalArtifact", "flux-system", "again")) == {"a.yaml": "1"}


def test_a_policy_keeps_generators_in_their_namespace():
    world = World()
    document = generator_document(("apps/**", ""))
    document["spec"]["sources"][0]["namespace"] = "other"
    world.object(document)
    world.plane(noCrossNamespaceRefs=True)
    world.run(SourceChanged(cluster="production", kind="ArtifactGenerator", namespace="flux-system", name="split"))
    status = world.status("production", "ArtifactGenerator", "flux-system", "split")
    assert (status.error, status.revision) == ("AccessDenied", "")


def test_a_source_that_moves_on_while_artifacts_are_derived_has_the_last_word():
    world = World()
    message = split(world)
    world.push({"apps/a.yaml": "old"})
    world.settle()

    class Racing(MemoryStorage):
        """While the first artifact is being stored, a push is recorded."""

        raced = False

        def put(self, digest, data, *, cluster=""):
            if not self.raced:
                self.raced = True
                world.push({"apps/a.yaml": "new"})
                object.__setattr__(world.deps, "storage", world.storage)
                before = world.status()
                world.object(generator_document(("apps/**", "")), tombstone=True)
                world.run()
                assert world.status().observation == before.observation + 1
                world.object(generator_document(("apps/**", "")))
            return world.storage.put(digest, data, cluster=cluster)

        def get(self, digest):
            return world.storage.get(digest)

    object.__setattr__(world.deps, "storage", Racing())
    world.run(message)
    assert world.files(world.status("production", *EXTERNAL)) == {"a.yaml": "new"}


def test_a_record_that_others_write_all_the_time_is_tried_again_later():
    class Contended(MemoryState):
        def put(self, key, value, *, expected, due=None):
            if expected is not None:
                raise Conflict("somebody else wrote first")
            return super().put(key, value, expected=expected, due=due)

    world = World()
    contended = Contended()
    for record in world.state.list(""):
        contended.put(record.key, record.value, expected=None)
    object.__setattr__(world.deps, "state", contended)
    world.push({"apps/a": "1"})
    with pytest.raises(Conflict, match="all the time"):
        world.run()
    contended.put(
        object_key("production", "ArtifactGenerator", "flux-system", "split"),
        ObjectRecord(document=generator_document(("apps/**", ""))).to_value(),
        expected=None,
    )
    with pytest.raises(Conflict, match="all the time"):
        world.run(SourceChanged(cluster="production", kind="ArtifactGenerator", namespace="flux-system", name="split"))


def test_a_commit_over_the_limits_is_a_failure():
    world = World()
    world.git.commit(URL, {"big": blob(b"0" * (65 * 1024 * 1024))})
    assert events(world.run()) == [
        (
            "error",
            "GitOperationFailed",
            f"failed to checkout and determine revision: unable to clone '{URL}': over the limit",
        )
    ]


def test_a_login_in_the_url_is_used_where_no_secret_has_one():
    world = World()
    world.push({"a": "1"})
    world.git.require(URL, {"username": b"me", "password": b"hunter2"})
    url = URL.replace("https://", "https://me:hunter2@")
    world.object(git_document(url=url), cluster=PLANE, implicit=True)
    outgoing = world.run()
    assert world.status().observation == 1
    assert "hunter2" not in repr(outgoing)


def test_a_generator_that_is_switched_off_rests():
    world = World()
    document = generator_document(("apps/**", ""))
    document["metadata"]["annotations"] = {"source.extensions.fluxcd.io/reconcile": "disabled"}
    world.object(document)
    world.push({"apps/a.yaml": "1"})
    world.run()
    assert world.status("production", *EXTERNAL) is None


def test_a_plane_without_clusters_wakes_nobody():
    world = World()
    world.state.delete("plane", expected=None)
    world.push({"a": "1"})
    assert woken(world.run()) == []
    assert world.status().observation == 1


def test_a_cluster_that_declares_its_own_source_does_not_follow_the_planes():
    world = World("production", "staging")
    world.object(git_document(url="https://git.example.com/own"), cluster="staging")
    world.push({"a": "1"})
    assert woken(world.run()) == ["production/flux-system"]


def test_many_clusters_are_woken_in_the_planes_order():
    names = [f"edge-{n:03}" for n in range(60)]
    world = World(*names)
    world.push({"a": "1"})
    assert woken(world.run()) == [f"{name}/flux-system" for name in names]


def test_an_include_rebuilds_whoever_includes_it():
    site_url, lib_url = "https://git.example.com/site", "https://git.example.com/lib"
    site, lib = (SourceChanged(cluster="production", namespace="flux-system", name=name) for name in ("site", "lib"))
    of_site = ("GitRepository", "flux-system", "site")
    world = World()
    world.object(git_document("site", url=site_url, include=[{"repository": {"name": "lib"}, "toPath": "lib"}]))
    world.push({"a": "1"}, url=site_url)
    assert "could not get resource for include 'lib'" in events(world.run(site))[0][2]
    world.object(git_document("lib", url=lib_url))
    world.run(site)
    assert world.status("production", *of_site).error == "NoArtifact"
    world.push({"x": "1"}, url=lib_url)
    assert site in [each.message for each in world.run(lib)]
    world.settle(site)
    assert world.files(world.status("production", *of_site)) == {"a": "1", "lib/x": "1"}
    before = world.status("production", *of_site)
    world.settle(lib)
    assert world.run(site) == []
    world.push({"x": "2"}, url=lib_url)
    world.run(lib)
    world.run(site)
    after = world.status("production", *of_site)
    assert world.files(after) == {"a": "1", "lib/x": "2"}
    assert (after.revision, after.observation) == (before.revision, before.observation + 1)


def test_sources_that_include_each_other_are_refused_and_do_not_chase_each_other():
    world = World()
    names = {"one": "two", "two": "three", "three": "one"}
    messages = {name: SourceChanged(cluster="production", namespace="flux-system", name=name) for name in names}
    for name, other in names.items():
        world.object(
            git_document(name, url=f"https://git.example.com/{name}", include=[{"repository": {"name": other}}])
        )
        world.push({name: "1"}, url=f"https://git.example.com/{name}")
    for name, message in messages.items():
        assert "leads back to this GitRepository" in events(world.run(message))[0][2]
        assert world.status("production", "GitRepository", "flux-system", name).artifact == ""


def test_generators_that_use_each_other_are_refused():
    world = World()
    world.push({"a": "1"})
    world.run()
    for name, other in (("one", "two"), ("two", "one")):
        document = generator_document(("**", "x/"), name=name, artifact=name)
        document["spec"]["sources"].append({"alias": "other", "kind": "ExternalArtifact", "name": other})
        world.object(document)
    for name in ("one", "two"):
        message = SourceChanged(cluster="production", kind="ArtifactGenerator", namespace="flux-system", name=name)
        assert events(world.run(message))[0][1] == "ValidationFailed"
