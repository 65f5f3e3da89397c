"""A checkout holds what git itself says a commit holds: packs with deltas, odd names, modes; old protocols too."""

import os
import shutil
import subprocess
import time

import pytest
from tests.contract.git_remotes import ServedRemote, remote_of

from penstock.adapters.git import server as server_module
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.server import GitServer
from penstock.core.errors import Refused, Transient
from penstock.core.tree import blob
from penstock.ports.git import GitRef, Head, Limits, Remote

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it")


@pytest.fixture
def served(tmp_path):
    with GitServer(tmp_path) as server:
        yield ServedRemote(server)


@pytest.fixture(params=["v2", "v0"])
def protocol(request, monkeypatch):
    """A server that speaks protocol v2, or one that never heard of it."""
    if request.param == "v0":
        original = server_module._Handler._environment
        monkeypatch.setattr(
            server_module._Handler,
            "_environment",
            lambda self, length: {**original(self, length), "GIT_PROTOCOL": ""},
        )
    return request.param


def by_git(served, commit):
    """path -> (blob id, executable) of each regular file, as git lists them."""
    listed = served.server.run("--git-dir", str(served.server.path(served.name)), "ls-tree", "-r", "-z", commit)
    found = {}
    for line in listed.split("\0"):
        mode, _, rest = line.partition(" ")
        if mode in ("100644", "100755"):
            name, _, path = rest.removeprefix("blob ").partition("\t")
            found[path] = (name, mode == "100755")
    return found


def head_of(served):
    return served.git.resolve(remote_of(served), GitRef(branch="main"))


def checked_out(served, head=None, limits=None):
    return served.git.checkout(remote_of(served), head or head_of(served), limits or Limits())


def test_a_repository_of_many_similar_files(served, protocol):
    lines = b"".join(b"line %d of a file that compresses into deltas\n" % n for n in range(2000))
    files = {f"apps/{n % 7}/{n}.yaml": lines + b"# %d\n" % n for n in range(300)}
    files |= {"ünï/cödé 名.yaml": b"u", "a b/c\td.yaml": b"s", "empty": b"", "bin": os.urandom(100_000)}
    served.commit(files, executable=("bin",))
    served.server.run("--git-dir", str(served.server.path("fleet")), "repack", "-adfq", "--depth=50", "--window=50")
    head = head_of(served)
    tree = checked_out(served, head)
    assert {path: (found.id, found.executable) for path, found in tree.items()} == by_git(served, head.commit)
    assert all(found.id == blob(found.data).id for _, found in tree.items())
    assert len(tree) == len(files)


def test_links_submodules_and_names_that_are_no_text_stay_out(served):
    served.commit({"a.yaml": b"a"}, links=[("link.yaml", "a.yaml"), ("out", "/etc")])
    git = ["--git-dir", str(served.server.path("fleet"))]
    (served.server.root / "raw").write_bytes(b"x")
    name = served.server.run(*git, "hash-object", "-w", str(served.server.root / "raw")).strip()
    served._run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    served._run("update-index", "--add", "--cacheinfo", os.fsdecode(f"100644,{name},".encode() + b"\xff.yaml"))
    served._run("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "odd")
    assert [path for path, _ in checked_out(served).items()] == ["a.yaml"]


def test_an_old_commit_can_be_had_by_its_id(served, protocol):
    first = served.commit({"a": b"1"})
    served.commit({"a": b"2"})
    head = Head(ref="refs/heads/main", commit=first, revision="")
    assert checked_out(served, head).read("a").data == b"1"


def test_a_commit_that_the_server_does_not_have_may_come(served, protocol):
    served.commit({"a": b"1"})
    with pytest.raises(Transient, match="not our ref 1111"):
        checked_out(served, Head(ref="refs/heads/main", commit="1" * 40, revision=""))


def test_a_warm_look_is_one_request_and_a_checkout_another(served, monkeypatch):
    asked = []
    original = server_module._Handler._answer

    def counted(self):
        asked.append((self.command, self.connection))
        original(self)

    monkeypatch.setattr(server_module._Handler, "_answer", counted)
    served.commit({"a": b"1"})
    for expected in (["GET", "POST", "POST"], ["POST", "POST"]):
        checked_out(served, head_of(served))
        assert [method for method, _ in asked] == expected
        assert len({connection for _, connection in asked}) == 1
        asked.clear()


def test_connections_that_went_stale_are_made_anew(served, tmp_path):
    served.commit({"a": b"1"})
    head = head_of(served)
    for pool, _ in served.git._idle.values():
        (manager,) = pool._client._managers.values()
        for key in manager.pools.keys():  # noqa: SIM118 - no dict
            connection = manager.pools[key].pool.get()
            connection.sock.shutdown(2)
            manager.pools[key].pool.put(connection)
    assert len(checked_out(served, head)) == 1


def test_history_is_not_fetched(served):
    for number in range(5):
        served.commit({"a": os.urandom(200_000), "n": b"%d" % number})
    assert len(checked_out(served, limits=Limits(bytes=250_000))) == 2


def test_fifty_thousand_refs_cost_no_more_than_one(served):
    commit = served.commit({"a": b"1"})
    refs = "".join(f"{commit} refs/heads/branch-{n:05}\n" for n in range(50_000))
    packed = served.server.path("fleet") / "packed-refs"
    packed.write_text("# pack-refs with: peeled fully-peeled sorted \n" + refs)
    heads = DulwichGit().resolve(Remote(url=served.url), GitRef(branch="branch-00007"))
    assert heads.commit == commit
    start = time.process_time()
    head_of(served)
    assert time.process_time() - start < 0.2


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(bytes=100_000), "over the limit of a clone|more than 100000 bytes"),
        (Limits(file_bytes=1_000_000), "an object has 50000000 bytes, the limit is 1000000"),
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(served, limits, message):
    served.commit({"zeros": b"\0" * 50_000_000})
    with pytest.raises(Refused, match=message):
        checked_out(served, limits=limits)


def test_a_tree_that_repeats_itself_is_refused(served):
    """Ten levels of ten names that are all the same directory: 10 objects, 10,000,000,000 files."""
    served.commit({"a": b"1"})
    tree = served._run("rev-parse", "HEAD^{tree}").strip()
    for _ in range(10):
        listing = "".join(f"040000 tree {tree}\t{n}\n" for n in range(10))
        tree = _made_tree(served, listing)
    commit = served._run("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "bomb", tree).strip()
    served.point("refs/heads/main", commit)
    with pytest.raises(Refused, match="more than 50000 files"):
        checked_out(served)


def _made_tree(served, listing):
    command = [served.server.git, "--git-dir", str(served.server.path("fleet")), "mktree"]
    done = subprocess.run(
        command, input=listing.encode(), env=served.server.environment(), capture_output=True, check=True
    )
    return done.stdout.decode().strip()
