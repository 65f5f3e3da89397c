"""Artifacts in S3: conditional writes, damage, and bodies that end early."""

import hashlib

import pytest
from tests.aws.plane import NAMES, in_process, make_bucket

from penstock.adapters.storage.s3 import S3Storage
from penstock.core.errors import Terminal, Transient

DATA = b"an artifact"
HEX = hashlib.sha256(DATA).hexdigest()
DIGEST = f"sha256:{HEX}"


@pytest.fixture
def clients():
    with in_process() as made:
        make_bucket(made)
        yield made


@pytest.fixture
def storage(clients):
    return S3Storage(clients, NAMES.bucket)


def test_an_object_is_stored_under_its_digest(storage, clients):
    storage.put(DIGEST, DATA)
    found = clients.client("s3").get_object(Bucket=NAMES.bucket, Key=f"artifacts/sha256/{HEX}")
    assert found["Body"].read() == DATA


def test_a_put_asks_s3_to_refuse_an_overwrite_and_to_check_the_bytes(storage, clients):
    sent = []
    clients.client("s3").meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(request))
    storage.put(DIGEST, DATA)
    assert sent[0].headers["If-None-Match"] == b"*"
    assert sent[0].headers["x-amz-checksum-sha256"]


def test_a_damaged_object_is_never_given_out(storage, clients):
    clients.client("s3").put_object(Bucket=NAMES.bucket, Key=f"artifacts/sha256/{HEX}", Body=b"something else")
    with pytest.raises(Terminal, match="do not have that digest"):
        storage.get(DIGEST)


@pytest.mark.parametrize(
    ("code", "status"), [("ConditionalRequestConflict", 409), ("SlowDown", 503), ("InternalError", 500)]
)
def test_a_put_that_meets_another_or_a_busy_s3_is_tried_again_later(storage, clients, code, status):
    def refuse(http_response, parsed, **_):
        http_response.status_code = status
        parsed["Error"] = {"Code": code, "Message": ""}

    clients.client("s3").meta.events.register("after-call.s3.PutObject", refuse)
    with pytest.raises(Transient, match=f"{code} to s3:PutObject on {NAMES.bucket}"):
        storage.put(DIGEST, DATA)


def test_a_body_that_ends_early_is_transient(storage, clients):
    storage.put(DIGEST, DATA)

    def cut(parsed, **_):
        parsed["Body"]._content_length = len(DATA) + 1

    clients.client("s3").meta.events.register("after-call.s3.GetObject", cut)
    with pytest.raises(Transient, match="s3:GetObject on acme-penstock: IncompleteReadError"):
        storage.get(DIGEST)


def test_a_list_goes_on_over_pages_and_leaves_out_what_is_not_ours(storage, clients):
    stored = {f"sha256:{hashlib.sha256(data).hexdigest()}": data for data in (b"%d" % number for number in range(7))}
    for digest, data in stored.items():
        storage.put(digest, data)
    clients.client("s3").put_object(Bucket=NAMES.bucket, Key="backups/x", Body=b"")
    clients.client("s3").meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=3)
    )
    assert storage.digests() == tuple(sorted(stored))
