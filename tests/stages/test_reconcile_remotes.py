"""Remote bases under policy.noRemoteBases: false: anonymous, guarded, limited, resolved again at every look."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from tests.contract.git_remotes import ServedRemote
from tests.contract.registries import REPOSITORY, RealServer, missing
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.clock.memory import SimulatedClock
from penstock.adapters.downloads.http import HttpDownloads
from penstock.adapters.downloads.memory import MemoryDownloads
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.memory import MemoryGit
from penstock.adapters.git.server import GitServer
from penstock.adapters.registry.memory import MemoryRegistry
from penstock.core.errors import BuildFailed, NotFound, Refused, Terminal, Transient
from penstock.core.kustomize.repository_url import parse_repository_url
from penstock.core.sources.addresses import GuardedUrl
from penstock.core.tree import blob, memory_tree
from penstock.kustomize import Bounds, BuildOptions, build
from penstock.ports.git import Limits
from penstock.stages.reconcile.remotes import AnonymousRemotes, Checkouts, Spending

BASE = "https://git.example.com/acme/base.git"
OTHER = "https://git.example.com/acme/other.git"
IMAGE = "registry.example.com/acme/base"


def base(value):
    return {
        "app/kustomization.yaml": blob(b"resources: [cm.yaml]\n"),
        "app/cm.yaml": blob(config_map("far", key=value).encode()),
    }


class World:
    """The ports of a build, in memory."""

    def __init__(self):
        self.git, self.downloads, self.clock = MemoryGit(), MemoryDownloads(), SimulatedClock()
        self.registry = MemoryRegistry()
        self.kept = Checkouts()

    def remotes(self, allowed_hosts=(), **spending):
        return AnonymousRemotes(
            (self.git, self.registry, self.downloads, self.clock),
            self.kept,
            allowed_hosts,
            Spending(**spending) if spending else None,
        )

    def push(self, files, tag="v1"):
        """An artifact; its digest."""
        return self.registry.push(IMAGE, tag, {path: found.data for path, found in files.items()})

    def build(self, *resources, remotes=None, **files):
        tree = memory_tree({"kustomization.yaml": yaml.safe_dump({"resources": list(resources)}), **files})
        return build(tree, "", BuildOptions(remotes=remotes or self.remotes()))

    def head(self, url, files, ref="refs/heads/main"):
        commit = self.git.commit(url, files, ref=ref)
        self.git.point(url, "HEAD", commit)
        return commit


@pytest.fixture
def world():
    return World()


# -- a plane


def plane_with(base_url, **policy):
    plane = MemoryPlane(policy=policy)
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "apps"),
            "apps/kustomization.yaml": yaml.safe_dump({"resources": ["ns.yaml", base_url]}),
            "apps/ns.yaml": namespace("apps"),
        }
    )
    return plane


def test_a_remote_base_is_applied_and_its_commit_recorded():
    plane = plane_with(f"{BASE}//app?ref=main", noRemoteBases=False)
    commit = plane.git.commit(BASE, base("1"))
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert plane.config_map("far") == {"key": "1"}
    assert plane.status("apps").summary["remotes"] == [[BASE, "main", commit]]


def test_a_base_that_moves_is_seen_at_the_interval():
    plane = plane_with(f"{BASE}//app?ref=main", noRemoteBases=False)
    plane.git.commit(BASE, base("1"))
    plane.settle()
    second = plane.git.commit(BASE, base("2"))
    plane.clock.advance(601)
    plane.tick()
    plane.settle()
    assert plane.config_map("far") == {"key": "2"}
    assert plane.status("apps").summary["remotes"] == [[BASE, "main", second]]


def test_a_remote_that_is_away_is_tried_again_and_nothing_is_pruned():
    plane = plane_with(f"{BASE}//app?ref=main", noRemoteBases=False)
    plane.git.commit(BASE, base("1"))
    plane.settle()
    plane.git.fail(BASE, Transient("the server answers 503", reason="GitOperationFailed"))
    plane.reconcile("apps")
    assert plane.ready("apps").startswith("False GitOperationFailed")
    assert "503" in plane.ready("apps")
    assert plane.config_map("far") == {"key": "1"}
    plane.git.fail(BASE, None)
    plane.settle()
    assert plane.ready("apps").startswith("True")


@pytest.mark.parametrize("policy", [{}, {"noRemoteBases": True}])
def test_refused_by_default_without_a_call(policy):
    plane = plane_with(f"{BASE}//app?ref=main", **policy)
    plane.git.commit(BASE, base("1"))
    plane.settle()
    assert "policy.noRemoteBases: false" in plane.ready("apps")
    assert ("resolve", BASE) not in plane.git.calls


def test_the_repositorys_own_flag_of_flux_wins():
    plane = plane_with(f"{BASE}//app?ref=main", noRemoteBases=False)
    plane.git.commit(BASE, base("1"))
    controller = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "kustomize-controller",
            "namespace": "flux-system",
            "labels": {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/component": "kustomize-controller"},
        },
        "spec": {"template": {"spec": {"containers": [{"name": "manager", "args": ["--no-remote-bases=true"]}]}}},
    }
    plane.push({"clusters/prod/gotk.yaml": yaml.safe_dump(controller)})
    plane.settle()
    assert "remote bases and files are not read" in plane.ready("apps")


def test_no_login_is_ever_sent():
    plane = plane_with(f"{BASE}//app?ref=main", noRemoteBases=False)
    plane.git.commit(BASE, base("1"))
    plane.git.require(BASE, {"username": b"me", "password": b"canary"})
    plane.settle()
    assert "authentication required" in plane.ready("apps")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it")
@pytest.mark.parametrize(("hosts", "ready"), [([], "False"), (["127.0.0.1"], "True")])
def test_a_private_address_is_reached_only_where_it_is_allowed(tmp_path, hosts, ready):
    with GitServer(tmp_path) as server:
        served = ServedRemote(server, "base")
        served.commit({path: found.data for path, found in base("1").items()})
        plane = plane_with(f"{served.url}//app?ref=main", noRemoteBases=False, allowedHosts=hosts)
        plane.deps = replace(plane.deps, git=_Both(plane.git))
        plane.settle()
    assert plane.ready("apps").startswith(ready)
    assert ready == "True" or "policy.allowedHosts" in plane.ready("apps")


class _Both:
    """The fleet in memory, everything on loopback for real."""

    def __init__(self, memory):
        self._memory, self._real = memory, DulwichGit()

    def _git(self, remote):
        return self._real if "127.0.0.1" in remote.url else self._memory

    def resolve(self, remote, ref):
        return self._git(remote).resolve(remote, ref)

    def checkout(self, remote, head, limits):
        return self._git(remote).checkout(remote, head, limits)


# -- what is asked of the ports


def test_one_fetch_for_all_that_a_build_reads_of_one_ref(world):
    world.head(BASE, {**base("1"), "more/kustomization.yaml": blob(b"resources: [../app]\nnamePrefix: a-\n")})
    built = world.build(f"{BASE}//app", f"{BASE}//more")
    assert len(built.resources) == 2
    assert world.git.calls == [("resolve", BASE), ("checkout", BASE)]
    assert len(built.remotes) == 1


def test_a_commit_is_fetched_once_for_all_builds(world):
    commit = world.head(BASE, base("1"))
    for _ in range(2):
        built = world.build(f"{BASE}//app?ref={commit}")
    assert [call for call, _ in world.git.calls].count("checkout") == 1
    assert built.warnings == ()


def test_what_was_fetched_for_one_policy_is_not_given_to_another(world):
    world.head(BASE, base("1"))
    world.build(f"{BASE}//app", remotes=world.remotes(("10.0.0.0/8",)))
    world.build(f"{BASE}//app", remotes=world.remotes(()))
    assert [call for call, _ in world.git.calls].count("checkout") == 2


@pytest.mark.parametrize(
    ("query", "ref", "warned"),
    [
        ("", "HEAD", True),
        ("?ref=main", "refs/heads/main", True),
        ("?ref=refs/heads/main", "refs/heads/main", True),
        ("?ref=v1", "refs/tags/v1", False),
        ("?version=v1", "refs/tags/v1", False),
    ],
)
def test_what_is_not_pinned_is_said(world, query, ref, warned):
    commit = world.head(BASE, base("1"))
    world.git.point(BASE, "refs/tags/v1", commit)
    world.git.point(BASE, "refs/heads/v1", world.git.commit(BASE, base("2"), ref="refs/heads/x"))  # tags go first
    built = world.build(f"{BASE}//app{query}")
    assert built.remotes[0].commit == commit
    assert (f"?ref={commit}" in "".join(built.warnings)) is warned, ref


def test_a_base_names_further_ones_but_only_so_many(world):
    world.head(BASE, {"kustomization.yaml": blob(f"resources: ['{OTHER}//app']\n".encode())})
    world.head(OTHER, base("1"))
    assert len(world.build(BASE).remotes) == 2
    tree = memory_tree({"kustomization.yaml": f"resources: ['{BASE}']\n"})
    with pytest.raises(Refused, match="more than 1 remote"):
        build(tree, "", BuildOptions(remotes=world.remotes(), bounds=Bounds(remotes=1)))
    with pytest.raises(Refused, match="more than 1 bases deep"):
        build(tree, "", BuildOptions(remotes=world.remotes(), bounds=Bounds(depth=1)))


def test_repositories_that_name_each_other_are_a_cycle(world):
    world.head(BASE, {"kustomization.yaml": blob(f"resources: ['{OTHER}?ref=main']\n".encode())})
    world.head(OTHER, {"kustomization.yaml": blob(f"resources: ['{BASE}?ref=main']\n".encode())})
    with pytest.raises(BuildFailed, match="cycle detected: URI"):
        world.build(f"{BASE}?ref=main")


def test_different_refs_in_turn_end_at_the_bounds(world):
    """kustomize compares URLs as they are written: a repository that names itself at ever new refs is no cycle."""
    for number in range(40):
        world.head(
            BASE,
            {"kustomization.yaml": blob(f"resources: ['{BASE}?ref=r{number + 1}']\n".encode())},
            ref=f"refs/heads/r{number}",
        )
    with pytest.raises(Refused, match="more than 32 remote"):
        world.build(f"{BASE}?ref=r0")


def test_a_remote_reads_nothing_outside_its_repository(world):
    world.head(BASE, {"app/kustomization.yaml": blob(b"resources: [../../../secret.yaml]\n")})
    with pytest.raises(Terminal, match="leads out of the repository"):
        world.build(f"{BASE}//app", **{"secret.yaml": config_map("secret")})


def test_a_remote_reads_its_files_within_its_root_whatever_the_options(world):
    files = {"app/kustomization.yaml": blob(b"resources: [../cm.yaml]\n"), "cm.yaml": blob(config_map("x").encode())}
    world.head(BASE, files)
    tree = memory_tree({"kustomization.yaml": f"resources: ['{BASE}//app']\n"})
    with pytest.raises(Refused, match=r"security; file 'cm\.yaml' is not in or below"):
        build(tree, "", BuildOptions(remotes=world.remotes(), load_restrictions="none"))


def test_the_inputs_are_those_of_the_tree_alone(world):
    world.head(BASE, base("1"))
    built = world.build(f"{BASE}//app")
    assert built.inputs.files == ("kustomization.yaml",)
    ((tree, read),) = built.remote_reads
    assert read.files == ("app/cm.yaml", "app/kustomization.yaml")
    assert tree.read("app/cm.yaml") is not None


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        ("git@github.com:acme/base", "over https, without a login"),
        ("ssh://git@git.example.com/acme/base", "over https, without a login"),
        ("file:///srv/git/base", "over https, without a login"),
        (f"oci://{IMAGE}:gone", "not found"),
        (f"oci://{IMAGE}@sha256:{'0' * 64}", "not found"),
        (f"oci://{IMAGE}:v1//none", "there is no directory 'none'"),
        (f"oci://{IMAGE}@sha256:12", "is no digest"),
        (f"oci://{IMAGE}//../x", "leads out of the artifact"),
        ("oci://registry.example.com", "write oci://registry/repository:tag//directory"),
        ("oci://me:canary@registry.example.com/acme/base", "holds a password"),
        ("https://me:canary@git.example.com/acme/base.git", "holds a password"),
        ("https://git.example.com/a b.git", "no usable URL"),
        ("https:///acme/base.git", "no usable URL"),
        ("https://git.example.com:0x/acme/base.git", "no usable URL"),
        ("gh:acme/base", "no URL of a Git repository"),
        (f"{BASE}//none", "there is no directory 'none'"),
        (f"{BASE}//app?ref=gone", "couldn't find remote ref"),
        ("https://git.example.com/acme/none.git", "repository not found"),
    ],
)
def test_what_is_not_fetched_and_why(world, resource, why):
    world.head(BASE, base("1"))
    world.push(base("1"))
    with pytest.raises(Terminal, match=why) as caught:
        world.build(resource)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "tag"),
    [(":v1//app", "v1"), ("//app?ref=v1", "v1"), ("//app", "latest"), ("@{}//app", ""), ("//app?ref={}", "")],
)
def test_a_base_in_an_artifact(world, place, tag):
    digest = world.push(base("1"), tag or "v1")
    built = world.build(f"oci://{IMAGE}{place.format(digest)}")
    assert [each.id.name for each in built.resources] == ["far"]
    assert [(pin.url, pin.ref, pin.digest) for pin in built.remotes] == [(f"oci://{IMAGE}", tag, digest)]
    assert ("".join(built.warnings) != "") is bool(tag)
    assert not tag or f"write oci://{IMAGE}@{digest}" in built.warnings[0]


def test_an_artifact_is_pulled_once_and_its_own_root_is_a_base(world):
    digest = world.push({"kustomization.yaml": blob(b"resources: [app]\n"), **base("1")})
    for _ in range(3):
        built = world.build(f"oci://{IMAGE}@{digest}")
    assert len(built.resources) == 1
    assert world.registry.requests == 1
    assert built.warnings == ()


def test_an_artifact_says_where_an_object_came_from(world):
    digest = world.push(base("1"))
    files = {"kustomization.yaml": f"resources: ['oci://{IMAGE}:v1//app']\nbuildMetadata: [originAnnotations]\n"}
    built = build(memory_tree(files), "", BuildOptions(remotes=world.remotes()))
    (origin,) = (each.annotations["config.kubernetes.io/origin"] for each in built.resources)
    assert yaml.safe_load(origin) == {"path": "app/cm.yaml", "repo": f"oci://{IMAGE}", "ref": "v1"}
    assert digest == built.remotes[0].digest


def test_artifacts_and_repositories_share_limits_and_cycles(world):
    world.push({"kustomization.yaml": blob(f"resources: ['oci://{IMAGE}:v1']\n".encode())})
    with pytest.raises(BuildFailed, match="cycle detected: URI"):
        world.build(f"oci://{IMAGE}:v1")
    world.push(base("1"), "v2")
    with pytest.raises(Refused, match=r"larger than 10 bytes|over the limit"):
        world.build(f"oci://{IMAGE}:v2//app", remotes=world.remotes(bytes=10))


def test_an_artifact_of_a_plane_moves_and_needs_the_policy():
    plane = plane_with(f"oci://{IMAGE}:stable//app", noRemoteBases=False)
    for value in ("1", "2"):
        digest = plane.registry.push(IMAGE, "stable", {path: found.data for path, found in base(value).items()})
        plane.clock.advance(601)
        plane.tick()
        plane.settle()
        assert plane.config_map("far") == {"key": value}, plane.ready("apps")
    assert plane.status("apps").summary["remotes"] == [[f"oci://{IMAGE}", "stable", digest]]
    refused = plane_with(f"oci://{IMAGE}:stable//app")
    refused.settle()
    assert "policy.noRemoteBases: false" in refused.ready("apps")
    assert refused.registry.requests == 0


@pytest.mark.skipif(bool(missing()), reason=missing() or "the real one")
@pytest.mark.parametrize(("hosts", "ready"), [([], "False"), (["127.0.0.1"], "True")])
def test_an_artifact_of_a_real_registry(tmp_path, hosts, ready):
    with RealServer(tmp_path) as server:
        server.push("v1", {path: found.data for path, found in base("1").items()})
        plane = plane_with(f"oci://{server.host}/{REPOSITORY}:v1//app", noRemoteBases=False, allowedHosts=hosts)
        plane.deps = replace(plane.deps, registry=server.registry)
        plane.settle()
    assert plane.ready("apps").startswith(ready), plane.ready("apps")
    assert ready == "True" or "policy.allowedHosts" in plane.ready("apps")


def test_a_user_in_a_url_is_left_out(world):
    world.head("https://dev.example.com/o/p/_git/base", base("1"))
    assert world.build("https://me@dev.example.com/o/p/_git/base/app").resources
    assert {url for _, url in world.git.calls} == {"https://dev.example.com/o/p/_git/base"}


def test_a_repository_over_the_limit_is_refused(world):
    world.head(BASE, {**base("1"), "big": blob(b"x" * 1000)})
    with pytest.raises(Refused, match="over the limit"):
        world.build(f"{BASE}//app", remotes=world.remotes(clone=Limits(files=10, bytes=900, file_bytes=900)))


def test_all_remotes_of_a_build_share_its_bytes(world):
    for url in (BASE, OTHER):
        world.head(url, base("1") | {f"app/{url[-8:]}.bin": blob(b"x" * 600)})
    both = [f"{url}//app?ref=main" for url in (BASE, OTHER)]
    for one in both:
        world.build(one, remotes=world.remotes(bytes=1000))
    for kept in (world.kept, Checkouts()):  # whether they are fetched or remembered: a build holds them all
        world.kept = kept
        with pytest.raises(Refused, match=r"larger than 1000 bytes|limit"):
            world.build(*both, remotes=world.remotes(bytes=1000))
    world.downloads.put("https://example.com/a.yaml", config_map("a").encode())
    with pytest.raises(Refused, match="larger than 10 bytes"):
        world.build("https://example.com/a.yaml", remotes=world.remotes(bytes=10))


@pytest.mark.parametrize("url", ["https://example.com/{}.yaml", "https://example.com/a/b.git//{}"])
def test_a_url_is_no_longer_than_a_record_can_hold(world, url):
    with pytest.raises(Refused, match="longer than 2048 characters") as caught:
        world.build(url.format("x" * 100_000))
    assert len(str(caught.value)) < 1000
    assert world.downloads.calls == []


def test_all_remotes_of_a_build_share_its_time(world):
    world.head(BASE, base("1"))
    world.head(OTHER, base("2"))
    remotes, asked = world.remotes(seconds=30.0, call=20.0), []

    def resolve(remote, ref):
        asked.append(remote.timeout)
        world.clock.advance(20)
        return MemoryGit.resolve(world.git, remote, ref)

    world.git.resolve = resolve
    with pytest.raises(Transient, match="took more than 30 s"):
        world.build(f"{BASE}//app?timeout=60", f"{OTHER}//app", remotes=remotes)
    assert asked == [20.0, 10.0]


def test_a_timeout_in_the_url_makes_it_shorter_only(world):
    world.head(BASE, base("1"))
    asked = []
    world.git.resolve = lambda remote, ref: asked.append(remote.timeout) or MemoryGit.resolve(world.git, remote, ref)
    for timeout in (5, 600):
        world.build(f"{BASE}//app?timeout={timeout}")
    assert asked == [5, 60.0]


def test_urls_of_manifests_are_guarded_and_those_of_an_operator_are_not(world):
    seen = []
    git = SimpleNamespace(resolve=lambda remote, ref: seen.append(remote.url) or (_ for _ in ()).throw(NotFound("no")))
    for hosts in ((), ("10.0.0.0/8",), None):
        remotes = AnonymousRemotes((git, world.registry, world.downloads, world.clock), Checkouts(), hosts)
        with pytest.raises(NotFound):
            remotes.checkout(parse_repository_url(BASE))
    assert [getattr(url, "allowed_hosts", None) for url in seen] == [(), ("10.0.0.0/8",), None]
    assert isinstance(seen[0], GuardedUrl)


# -- files


def test_a_file_is_read_once_and_its_digest_recorded(world):
    url = "https://files.example.com/cm.yaml?token=canary"
    world.downloads.put(url, config_map("far").encode())
    built = world.build(url)
    assert built.remotes[0].digest.startswith("sha256:")
    assert built.remotes[0].url == "https://files.example.com/cm.yaml"
    tree = memory_tree({"kustomization.yaml": f"resources: ['{url}']\npatches: [{{path: '{url}'}}]\n"})
    world.downloads.calls.clear()
    build(tree, "", BuildOptions(remotes=world.remotes()))
    assert world.downloads.calls == [url]


def test_a_url_that_is_a_file_though_it_looks_like_a_repository(world):
    url = "https://gitlab.example.com/api/v4/projects/1/files/cm.yaml/raw?ref=main"
    world.downloads.put(url, config_map("far").encode())
    assert len(world.build(url).resources) == 1


def test_a_url_that_is_a_repository_though_it_looks_like_a_file(world):
    url = "https://git.example.com/acme/base/app"
    world.head("https://git.example.com/acme/base", base("1"))
    world.downloads.put(url, b"<!DOCTYPE html>\n<p>a page: for people</p>\n")
    built = world.build(url)
    assert len(built.resources) == 1
    assert [pin.commit != "" for pin in built.remotes] == [True]


@pytest.mark.parametrize(
    ("found", "error", "why"),
    [
        (b"a: [", BuildFailed, "cm.yaml"),
        (b"just text", BuildFailed, "cm.yaml"),
        (b"x" * 101, Refused, "larger than 100 bytes"),
        (Transient("the server answers 503"), Transient, "503"),
        (Refused("the server answers 403"), Refused, "403"),
    ],
)
def test_a_file_that_cannot_be_used(world, found, error, why):
    url = "https://files.example.com/cm.yaml"
    world.downloads.put(url, found)
    with pytest.raises(error, match=why) as caught:
        world.build(url, remotes=world.remotes(file_bytes=100))
    assert "files.example.com" in str(caught.value)


def test_a_file_that_is_not_there(world):
    with pytest.raises(NotFound, match="no such file"):
        world.build("https://files.example.com/acme/cm.yaml")


def test_a_private_address_is_no_place_for_files(world):
    remotes = AnonymousRemotes((world.git, world.registry, HttpDownloads(), world.clock), Checkouts(), ())
    with pytest.raises(Refused, match=r"policy\.allowedHosts"):
        remotes.download("http://169.254.169.254/latest/meta-data/")


# -- what is kept


def test_kept_checkouts_are_bounded():
    kept = Checkouts(size=10)
    small, large = memory_tree({"a": "12345"}), memory_tree({"a": "12345678901"})
    for number in range(3):
        kept.put("u", str(number), small)
    kept.put("u", "large", large)
    assert [kept.get("u", key) is not None for key in ("0", "1", "2", "large")] == [False, True, True, False]
