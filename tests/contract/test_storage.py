"""What every adapter of the storage port promises."""

import hashlib

import pytest
from tests.aws.plane import NAMES, in_process, make_bucket
from tests.google import plane as google

from penstock.adapters.storage.directory import DirectoryStorage
from penstock.adapters.storage.gcs import GcsStorage
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.storage.s3 import S3Storage
from penstock.core.errors import Terminal


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture(params=["memory", "directory", "s3", "gcs"])
def storage(request, tmp_path):
    if request.param == "s3":
        with in_process() as clients:
            make_bucket(clients)
            yield S3Storage(clients, NAMES.bucket)
    elif request.param == "gcs":
        with google.storage() as base:
            names = google.names(storage=base)
            google.request("POST", f"{base}/storage/v1/b?project={google.PROJECT}", {"name": names.bucket})
            yield GcsStorage(google.client(), names)
    else:
        yield MemoryStorage() if request.param == "memory" else DirectoryStorage(tmp_path / "artifacts")


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096])
def test_bytes_come_back_from_under_their_digest(storage, data):
    assert storage.put(digest(data), data) is True
    assert storage.get(digest(data)) == data


def test_a_second_put_says_that_it_was_there(storage):
    storage.put(digest(b"x"), b"x")
    assert storage.put(digest(b"x"), b"x") is False


def test_bytes_that_do_not_match_are_refused(storage):
    with pytest.raises(Terminal, match="do not have that digest"):
        storage.put(digest(b"x"), b"y")
    assert storage.get(digest(b"x")) is None


@pytest.mark.parametrize("name", ["", "sha256:", "sha256:../../etc/passwd", "sha1:" + "a" * 40, "sha256:" + "A" * 64])
@pytest.mark.parametrize("call", ["get", "put", "delete"])
def test_only_digests_are_names(storage, name, call):
    with pytest.raises(Terminal, match="not a digest"):
        storage.put(name, b"") if call == "put" else getattr(storage, call)(name)


def test_delete_and_digests(storage):
    for data in (b"a", b"b"):
        storage.put(digest(data), data)
    assert storage.digests() == tuple(sorted((digest(b"a"), digest(b"b"))))
    storage.delete(digest(b"a"))
    storage.delete(digest(b"a"))
    assert storage.digests() == (digest(b"b"),)
    assert storage.get(digest(b"a")) is None
