"""What every adapter of the storage port promises."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.aws.plane import NAMES, in_process, make_bucket
from tests.google import plane as google

from penstock.adapters.storage.directory import DirectoryStorage
from penstock.adapters.storage.gcs import GcsStorage, _multipart
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.storage.s3 import S3Storage
from penstock.core.errors import Terminal


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture(params=["memory", "directory", "s3", "gcs"])
def storage(request, tmp_path):
    """An adapter, and what else a test needs to break it, by the adapter."""
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


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096], ids=["none", "one", "a million"])
def test_bytes_come_back_from_under_their_digest(storage, data):
    assert storage.put(digest(data), data) is True
    assert storage.get(digest(data)) == data


def test_a_second_put_says_that_it_was_there(storage):
    storage.put(digest(b"x"), b"x")
    assert storage.put(digest(b"x"), b"x") is False


def test_what_is_there_is_told_without_reading_it(storage):
    assert storage.has(digest(b"x")) is False
    storage.put(digest(b"x"), b"x")
    assert storage.has(digest(b"x")) is True
    assert storage.has(digest(b"y")) is False
    storage.delete(digest(b"x"))
    assert storage.has(digest(b"x")) is False


def test_bytes_that_do_not_match_are_refused(storage):
    with pytest.raises(Terminal, match="do not have that digest"):
        storage.put(digest(b"x"), b"y")
    assert storage.get(digest(b"x")) is None


@pytest.mark.parametrize("name", ["", "sha256:", "sha256:../../etc/passwd", "sha1:" + "a" * 40, "sha256:" + "A" * 64])
@pytest.mark.parametrize("call", ["get", "has", "put", "delete"])
def test_only_digests_are_names(storage, name, call):
    with pytest.raises(Terminal, match="not a digest"):
        storage.put(name, b"") if call == "put" else getattr(storage, call)(name)


def put_stranger(storage, name):
    """A file beside the artifacts that no plane has written; "" is what a console calls a folder."""
    if isinstance(storage, DirectoryStorage):
        (storage._root / "no").mkdir(exist_ok=True)
        (storage._root / "no" / (name or "tes")).write_text("x")
    elif isinstance(storage, S3Storage):
        key = f"artifacts/sha256/{name}"
        storage._clients.client("s3").put_object(Bucket=NAMES.bucket, Key=key, Body=b"x")
    elif isinstance(storage, GcsStorage):
        query = f"uploadType=media&name=artifacts%2Fsha256%2F{name}"
        google.request("POST", f"{storage._base}/upload/storage/v1/b/{storage._bucket}/o?{query}", {})
    else:
        pytest.skip("nobody else gets at a process's memory")


def test_what_somebody_else_has_put_there_is_no_artifact(storage):
    storage.put(digest(b"a"), b"a")
    for name in ("", "README.md", "A" * 64):
        put_stranger(storage, name)
    assert storage.digests() == (digest(b"a"),)


def test_delete_and_digests(storage):
    for data in (b"a", b"b"):
        storage.put(digest(data), data)
    assert storage.digests() == tuple(sorted((digest(b"a"), digest(b"b"))))
    storage.delete(digest(b"a"))
    storage.delete(digest(b"a"))
    assert storage.digests() == (digest(b"b"),)
    assert storage.get(digest(b"a")) is None


def overwrite(storage, name, data):
    """What no adapter would do: other bytes under a digest."""
    digits = name.removeprefix("sha256:")
    if isinstance(storage, MemoryStorage):
        storage._blobs[name] = data
    elif isinstance(storage, DirectoryStorage):
        storage._path(name).write_bytes(data)
    elif isinstance(storage, S3Storage):
        key = {"Bucket": NAMES.bucket, "Key": f"artifacts/sha256/{digits}"}
        storage._clients.client("s3").put_object(**key, Body=data)
    else:
        where = (
            f"{storage._base}/upload/storage/v1/b/{storage._bucket}/o?uploadType=media&name=artifacts/sha256/{digits}"
        )
        asked = urllib.request.Request(where, data=data, method="POST", headers={"content-type": "text/plain"})
        urllib.request.urlopen(asked, timeout=60).close()


def test_a_large_artifact_comes_back_whole(storage):
    data = random.Random(1).randbytes(24 << 20)
    assert storage.put(digest(data), data) is True
    assert storage.get(digest(data)) == data
    assert storage.put(digest(data), data) is False


@pytest.mark.parametrize("damaged", [b"", b"another", b"the same length"], ids=["emptied", "another", "as long"])
def test_bytes_that_were_damaged_where_they_are_stored_never_come_out(storage, damaged):
    data = b"the right bytes"
    storage.put(digest(data), data)
    overwrite(storage, digest(data), damaged)
    with pytest.raises(Terminal, match="do not have that digest"):
        storage.get(digest(data))


def test_digests_are_listed_page_by_page(storage, monkeypatch):
    """Nine of them, two a page where pages there are."""
    if isinstance(storage, S3Storage):
        events = storage._clients.client("s3").meta.events
        events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2})
    elif isinstance(storage, GcsStorage):
        call = storage._client.call
        pages = []

        def paged(method, url, act, body=None):
            pages.append(url)
            return call(method, f"{url}&maxResults=2", act, body)

        monkeypatch.setattr(storage._client, "call", paged)
    stored = {digest(bytes([number])) for number in range(9)}
    for number in range(9):
        storage.put(digest(bytes([number])), bytes([number]))
    assert storage.digests() == tuple(sorted(stored))
    if isinstance(storage, GcsStorage):
        assert len(pages) == 5


def test_many_writers_of_one_artifact_store_it_once(storage):
    data = random.Random(2).randbytes(1 << 20)
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(storage.put(digest(data), data))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert True in outcomes
    assert storage.get(digest(data)) == data
    assert storage.digests() == (digest(data),)


# a crash in the middle of a write: nothing of it is ever seen, and the next write succeeds


WRITER = """
import os, sys
from pathlib import Path
from penstock.adapters.storage.directory import DirectoryStorage

data = b"x" * (8 << 20)
storage = DirectoryStorage(Path(sys.argv[1]))
fsync = os.fsync

def stop(handle):
    print("written, not yet in its place", flush=True)
    sys.stdin.read()

os.fsync = stop
storage.put(sys.argv[2], data)
"""


def test_a_process_that_is_killed_in_the_middle_of_a_write_to_a_directory_leaves_nothing(tmp_path):
    data = b"x" * (8 << 20)
    storage = DirectoryStorage(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "shared")}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), digest(data)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    assert [path.stat().st_size for path in (tmp_path / "incoming").iterdir()] == [len(data)], "it was in the middle"
    assert storage.get(digest(data)) is None
    assert storage.digests() == ()
    assert storage.put(digest(data), data) is True
    assert storage.get(digest(data)) == data


def test_a_writer_that_dies_in_the_middle_of_an_upload_to_cloud_storage_leaves_nothing():
    data = random.Random(3).randbytes(200_000)
    with google.storage() as base:
        names = google.names(storage=base)
        google.request("POST", f"{base}/storage/v1/b?project={google.PROJECT}", {"name": names.bucket})
        storage, digits = GcsStorage(google.client(), names), digest(data).removeprefix("sha256:")
        body = _multipart(f"artifacts/sha256/{digits}", data, digits)
        server = urlsplit(base)
        with socket.create_connection((server.hostname, server.port)) as connection:
            head = (
                f"POST /upload/storage/v1/b/{names.bucket}/o?uploadType=multipart&ifGenerationMatch=0 HTTP/1.1\r\n"
                f"Host: {server.netloc}\r\nContent-Type: multipart/related; boundary={digits}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body[: len(body) // 2])
        time.sleep(0.5)
        assert storage.get(digest(data)) is None
        assert storage.digests() == ()
        assert storage.put(digest(data), data) is True
        assert storage.get(digest(data)) == data
