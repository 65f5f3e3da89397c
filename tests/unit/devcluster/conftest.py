import http.client
import json
from urllib.parse import urlsplit

import pytest

from penstock.devcluster import DevCluster

JSON, APPLY = "application/json", "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Client:
    """One kept-alive connection."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.connection = http.client.HTTPConnection(urlsplit(cluster.url).netloc, timeout=10)
        self.headers = {}

    def __call__(self, method, path, body=None, *, media_type=JSON, headers=None):
        sent = {
            "Authorization": f"Bearer {self.cluster.token}",
            "Content-Type": media_type,
            "User-Agent": "tests/1",
            **(headers or {}),
        }
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        self.connection.request(method, path, body=data, headers=sent)
        answer = self.connection.getresponse()
        self.headers = dict(answer.getheaders())
        text = answer.read()
        return answer.status, json.loads(text) if self.headers.get("Content-Type", "").startswith(
            JSON
        ) else text.decode()

    def apply(self, path, body, *, manager="one", query=""):
        return self("PATCH", f"{path}?fieldManager={manager}{query}", body, media_type=APPLY)

    def merge(self, path, body):
        return self("PATCH", path, body, media_type=MERGE)


@pytest.fixture
def call():
    """Requests to a cluster on which nothing is simulated."""
    with DevCluster(False) as cluster:
        client = Client(cluster)
        yield client
        client.connection.close()


@pytest.fixture
def living():
    """Requests to a cluster whose workloads become ready at once."""
    with DevCluster(ready_after=0.05) as cluster:
        client = Client(cluster)
        yield client
        client.connection.close()
