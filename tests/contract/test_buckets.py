"""What every adapter of the buckets port promises: in memory, S3's API (moto's server), Google's (recorded shapes)."""

import http.server
import json
import threading
import urllib.parse
import urllib.request

import botocore.session
import pytest
from moto.server import ThreadedMotoServer
from tests.contract.azurite import Azurite, missing

from penstock.adapters.buckets.memory import MemoryBuckets
from penstock.adapters.buckets.providers import ProviderBuckets
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.ports.buckets import RemoteBucket

BUCKET = "fleet"
LOOPBACK = ("127.0.0.1",)
KEYS = {"accesskey": b"testing", "secretkey": b"canary-secret-key"}


class Memory:
    def __init__(self):
        self.buckets = MemoryBuckets()
        self.buckets.contents[BUCKET] = {}

    def put(self, key, data):
        self.buckets.put(BUCKET, key, data)

    def remote(self, **more):
        return RemoteBucket(**{"name": BUCKET, "endpoint": "https://s3.example.com", **more})


class S3:
    """moto's server checks no signature: test_s3_requests_are_signed does."""

    def __init__(self, url):
        self.buckets, self.url = ProviderBuckets(), url
        self._client = botocore.session.Session().create_client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, key, data):
        self._client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def remote(self, **more):
        return RemoteBucket(
            **{"name": BUCKET, "endpoint": self.url, "credentials": KEYS, "allowed_hosts": LOOPBACK, **more}
        )


class Recorded(http.server.BaseHTTPRequestHandler):
    """Google Cloud Storage's JSON API as far as Buckets use it. Set ``contents`` and ``answer``."""

    contents: dict[str, bytes]
    page = 2
    status = 200
    seen: list

    def do_GET(self):
        self.seen.append((self.path, dict(self.headers)))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        head, _, key = url.path.partition("/o/")
        if self.status != 200 or head.removesuffix("/o") != f"/storage/v1/b/{BUCKET}":
            return self._answer(404 if self.status == 200 else self.status, b"{}")
        if not key:
            return self._answer(200, json.dumps(self._list(query)).encode())
        data = self.contents.get(urllib.parse.unquote(key))
        if data is None:
            return self._answer(404, b"{}")
        described = {"name": urllib.parse.unquote(key), "etag": f"e{hash(data)}", "size": str(len(data))}
        return self._answer(200, data if query.get("alt") == "media" else json.dumps(described).encode())

    def _list(self, query):
        keys = sorted(key for key in self.contents if key.startswith(query.get("prefix", "")))
        start = int(query.get("pageToken") or 0)
        found = [
            {"name": key, "etag": f"e{hash(self.contents[key])}", "size": str(len(self.contents[key]))}
            for key in keys[start : start + self.page]
        ]
        rest = start + self.page < len(keys)
        return {"items": found, **({"nextPageToken": str(start + self.page)} if rest else {})}

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Gcs:
    def __init__(self, url, handler):
        self.buckets, self.url, self.handler = ProviderBuckets(), url, handler

    def put(self, key, data):
        self.handler.contents[key] = data

    def remote(self, **more):
        return RemoteBucket(
            **{"name": BUCKET, "endpoint": self.url, "provider": "gcp", "allowed_hosts": LOOPBACK, **more}
        )


@pytest.fixture
def recorded():
    handler = type("Handler", (Recorded,), {"contents": {}, "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Gcs(f"http://127.0.0.1:{server.server_port}", handler)
    server.shutdown()
    server.server_close()


@pytest.fixture
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST", data=b"")
    urllib.request.urlopen(reset, timeout=10).close()  # its servers share what they hold
    yield S3(f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def azurite(tmp_path):
    if missing():
        pytest.skip(missing())
    running = Azurite(tmp_path, BUCKET)
    yield running
    running.close()


@pytest.fixture(params=["memory", "s3", "gcs", pytest.param("azure", marks=pytest.mark.real)])
def store(request):
    if request.param == "memory":
        return Memory()
    return request.getfixturevalue({"s3": "s3", "gcs": "recorded", "azure": "azurite"}[request.param])


def test_objects_come_with_their_size_and_an_etag_that_changes(store):
    store.put("apps/a.yaml", b"a: 1\n")
    store.put("apps/b c+d.yaml", b"")
    store.put("other", b"x")
    found = store.buckets.objects(store.remote(), "apps/", most=10)
    assert [(each.key, each.size) for each in found] == [("apps/a.yaml", 5), ("apps/b c+d.yaml", 0)]
    before = found[0].etag
    store.put("apps/a.yaml", b"a: 2\n")
    (after, _) = store.buckets.objects(store.remote(), "apps/", most=10)
    assert before != after.etag != ""
    assert store.buckets.read(store.remote(), "apps/a.yaml", most=10) == (b"a: 2\n", after.etag)
    assert store.buckets.read(store.remote(), "apps/b c+d.yaml", most=10)[0] == b""


def test_every_page_is_read(store):
    for number in range(5):
        store.put(f"{number}", b"x")
    assert [each.key for each in store.buckets.objects(store.remote(), "", most=5)] == list("01234")


def test_limits_hold(store):
    for number in range(3):
        store.put(f"{number}", b"12345")
    with pytest.raises(Refused, match="more than 2 objects"):
        store.buckets.objects(store.remote(), "", most=2)
    with pytest.raises(Refused, match="4 bytes"):
        store.buckets.read(store.remote(), "0", most=4)


def test_what_is_not_there(store):
    assert store.buckets.read(store.remote(), "none", most=10) is None
    with pytest.raises(NotFound, match="bucket 'none' not found"):
        store.buckets.objects(store.remote(name="none"), "", most=10)


@pytest.mark.parametrize("name", ["s3", "recorded"])
def test_a_private_address_is_not_reached_unless_the_operator_allows_it(name, request):
    store = request.getfixturevalue(name)
    with pytest.raises(Refused, match=r"policy\.allowedHosts"):
        store.buckets.objects(store.remote(allowed_hosts=()), "", most=10)


def test_many_objects_of_s3_come_over_its_pages(s3, monkeypatch):
    monkeypatch.setattr("penstock.adapters.buckets.s3._PAGE", 2)
    for number in range(5):
        s3.put(f"{number}+ ", b"")
    assert [each.key for each in s3.buckets.objects(s3.remote(), "", most=9)] == [f"{n}+ " for n in range(5)]


def test_s3_requests_are_signed_and_a_public_bucket_is_asked_without(recorded):
    recorded.put("a", b"x")
    for credentials, signed in ((KEYS, True), ({}, False)):
        with pytest.raises(NotFound):
            recorded.buckets.objects(
                recorded.remote(provider="generic", credentials=credentials, region="eu-central-1"), "a b", most=10
            )
        path, headers = recorded.handler.seen[-1]
        assert path == f"/{BUCKET}?list-type=2&max-keys=1000&prefix=a%20b"
        sent = headers.get("Authorization", "")
        assert ("Credential=testing/" in sent and "/eu-central-1/s3/aws4_request" in sent) is signed
        assert "canary" not in str(headers)


@pytest.mark.parametrize("credentials", [{"accesskey": b"a"}, {"accesskey": b"", "secretkey": b"b"}, {"other": b"x"}])
def test_a_secret_without_keys_is_named(s3, credentials):
    with pytest.raises(Terminal, match=r"the Secret has no usable '(access|secret)key'"):
        s3.buckets.objects(s3.remote(credentials=credentials), "", most=10)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [(403, Refused, "AuthenticationFailed"), (503, Transient, "BucketOperationFailed"), (400, Terminal, "")],
)
def test_answers_become_errors(recorded, status, kind, reason):
    recorded.handler.status = status
    for provider in ("gcp", "generic"):
        with pytest.raises(kind) as caught:
            recorded.buckets.objects(recorded.remote(provider=provider), "", most=10)
        assert not reason or caught.value.reason == reason


@pytest.mark.parametrize("key", [b"no json", b"[]", b"{}", b'{"type": "service_account", "private_key": "canary"}'])
def test_a_service_account_that_is_none_is_refused_without_telling_it(recorded, key):
    with pytest.raises(Terminal, match="no service account's key") as caught:
        recorded.buckets.objects(recorded.remote(credentials={"serviceaccount": key}), "", most=10)
    assert "canary" not in str(caught.value)


@pytest.mark.real
def test_azure_is_read_by_a_shared_access_signature_and_not_without_one(azurite, monkeypatch):
    monkeypatch.setattr("penstock.adapters.buckets.azure._PAGE", 2)
    for number in range(5):
        azurite.put(f"a b+{number}", b"x")
    remote = azurite.remote(credentials={"sasKey": b"?" + azurite.sas()})
    assert [each.key for each in azurite.buckets.objects(remote, "a b", most=9)] == [f"a b+{n}" for n in range(5)]
    assert azurite.buckets.read(remote, "a b+1", most=9)[0] == b"x"
    for credentials in ({"sasKey": azurite.sas() + b"x"}, {"accountKey": b"Y2FuYXJ5"}, {"sasKey": azurite.sas("w")}):
        with pytest.raises((Refused, Terminal)) as caught:
            azurite.buckets.objects(azurite.remote(credentials=credentials), "", most=9)
        assert "sig=" not in str(caught.value)
    with pytest.raises((Refused, NotFound, Terminal)):
        azurite.buckets.objects(azurite.remote(credentials={}), "", most=9)


@pytest.mark.parametrize(
    "credentials", [{"other": b"x"}, {"accountKey": b"?"}, {"sasKey": b"no signature"}, {"clientId": b"only"}]
)
def test_a_secret_that_azure_cannot_use_is_named(recorded, credentials):
    class Logins:
        pass

    buckets = ProviderBuckets(Logins())
    with pytest.raises(Terminal, match="the Secret") as caught:
        buckets.objects(recorded.remote(provider="azure", credentials=credentials), "", most=9)
    assert caught.value.reason == "AuthenticationFailed"
