import hashlib
import os
import time

import pytest

from penstock.adapters.storage.directory import DirectoryStorage
from penstock.core.errors import Terminal, Transient

DATA = b"artifact"
HEX = hashlib.sha256(DATA).hexdigest()
DIGEST = f"sha256:{HEX}"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "artifacts"


def test_files_are_sharded_by_digest_and_nothing_stays_aside(root):
    DirectoryStorage(root).put(DIGEST, DATA)
    assert (root / HEX[:2] / HEX[2:]).read_bytes() == DATA
    assert list((root / "incoming").iterdir()) == []


def test_a_damaged_file_is_never_served_and_replaced_by_the_next_put(root):
    storage = DirectoryStorage(root)
    storage.put(DIGEST, DATA)
    (root / HEX[:2] / HEX[2:]).write_bytes(b"artifacT")
    with pytest.raises(Terminal, match="do not have that digest"):
        storage.get(DIGEST)
    assert storage.put(DIGEST, DATA) is True
    assert storage.get(DIGEST) == DATA


def test_a_write_that_fails_leaves_nothing(root, monkeypatch):
    storage = DirectoryStorage(root)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Transient, match="No space left"):
        storage.put(DIGEST, DATA)
    assert storage.get(DIGEST) is None
    assert list((root / "incoming").iterdir()) == []


def test_what_a_killed_process_left_aside_is_swept_at_the_next_start(root):
    DirectoryStorage(root)
    old, young = root / "incoming" / "old", root / "incoming" / "young"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 7_200,) * 2)
    DirectoryStorage(root)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_place_that_cannot_hold_it_is_transient(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Transient, match="artifact directory"):
        DirectoryStorage(tmp_path / "file" / "artifacts")
