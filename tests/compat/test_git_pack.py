"""Packs that somebody has tampered with end in one of the project's errors, whatever byte was changed."""

import hashlib
import random
import shutil

import pytest
from tests.contract.git_remotes import ServedRemote, remote_of

from penstock.adapters.git.dulwich import _patched
from penstock.adapters.git.pack import Objects, read_commit
from penstock.adapters.git.server import GitServer
from penstock.core.errors import PenstockError, Transient
from penstock.ports.git import GitRef, Limits

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it")
LIMITS = Limits(files=1000, bytes=1_000_000, file_bytes=200_000)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A real pack with deltas, and its commit."""
    lines = b"".join(b"line %d of a text\n" % n for n in range(300))
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        served = ServedRemote(server)
        served.commit({f"apps/{n}.yaml": lines + b"# %d\n" % n for n in range(20)})
        server.run("--git-dir", str(server.path("fleet")), "repack", "-adfq", "--window=50")
        head = served.git.resolve(remote_of(served), GitRef(branch="main"))
        return served.git._fetch(remote_of(served), head, LIMITS, "fetch"), head.commit


def sealed(pack):
    """The pack with a checksum that is right again."""
    return pack[:-20] + hashlib.sha1(pack[:-20]).digest()


def test_the_pack_as_it_came(packed):
    pack, commit = packed
    assert len(read_commit(Objects(pack, LIMITS, _patched), commit, LIMITS)) == 20


@pytest.mark.parametrize("seed", range(8))
def test_any_change_is_a_named_error_or_no_change_at_all(packed, seed):
    pack, commit = packed
    whole = dict(read_commit(Objects(pack, LIMITS, _patched), commit, LIMITS).items())
    chance = random.Random(seed)
    for _ in range(250):
        changed = bytearray(pack)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(pack) - 20)
            changed[at] = chance.randrange(256)
        if chance.random() < 0.2:
            del changed[chance.randrange(len(pack) - 20) : -20]
        try:
            tree = read_commit(Objects(sealed(bytes(changed)), LIMITS, _patched), commit, LIMITS)
        except PenstockError:
            continue
        assert dict(tree.items()) == whole


@pytest.mark.parametrize("pack", [b"", b"PACK", b"PACK" + b"\0" * 40, b"x" * 100])
def test_what_is_no_pack(pack):
    with pytest.raises(Transient, match="damaged pack"):
        Objects(pack, LIMITS, _patched)


def test_a_wrong_checksum(packed):
    pack, _ = packed
    with pytest.raises(Transient, match="checksum"):
        Objects(pack[:-1] + bytes([pack[-1] ^ 1]), LIMITS, _patched)


@pytest.mark.parametrize(
    "entry",
    [
        b"100644 a\0" + b"\1" * 19,
        b"1006x4 a\0" + b"\1" * 20,
        b"100644 \0" + b"\1" * 20,
        b"100644 ..\0" + b"\1" * 20,
        b"100644 a/b\0" + b"\1" * 20,
        b"100644a\0" + b"\1" * 20,
    ],
)
def test_a_tree_that_is_none(entry):
    made = Objects.__new__(Objects)
    made._by_id = {"c": (1, b"tree t\n\nsubject"), "t": (2, entry)}
    with pytest.raises(PenstockError):
        read_commit(made, "c", LIMITS)
