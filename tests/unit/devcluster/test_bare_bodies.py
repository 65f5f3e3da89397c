"""Whatever a body holds, the answer is an object or a Status: never a broken connection."""

import json

import pytest

from penstock.devcluster import DevCluster
from penstock.devcluster.exchange import Request

BODIES = [
    None,
    5,
    [],
    {},
    {"metadata": None},
    {"metadata": []},
    {"metadata": {"name": 5}},
    {"metadata": {"name": "z"}},
    {"metadata": {"name": "z", "labels": {"a": None}}},
    {"metadata": {"name": "z", "managedFields": "x"}},
    {"metadata": {"name": "z", "managedFields": [None, {"fieldsV1": {"f:a": 5}}, {"fieldsV1": 5}]}},
    {"metadata": {"name": "z", "ownerReferences": [None]}},
    {"metadata": {"name": "z"}, "spec": None},
    {"metadata": {"name": "z"}, "spec": []},
    {"metadata": {"name": "z"}, "spec": {}},
    {"metadata": {"name": "z"}, "spec": {"ports": [None], "template": {"spec": {"containers": [None]}}}},
    {"metadata": {"name": "z"}, "subjects": [None], "webhooks": [None]},
]
MEDIA_TYPES = {
    "POST": ["application/json"],
    "PUT": ["application/json"],
    "PATCH": [
        "application/apply-patch+yaml",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/strategic-merge-patch+json",
    ],
    "DELETE": ["application/json"],
}


@pytest.fixture(scope="module")
def cluster():
    return DevCluster(False)


@pytest.mark.parametrize("body", BODIES, ids=json.dumps)
def test_every_kind_answers(cluster, body):
    for resource in cluster.registry.all():
        root = "/apis/" if resource.group else "/api/"
        place = root + resource.api_version + ("/namespaces/default/" if resource.namespaced else "/") + resource.plural
        typed = {"apiVersion": resource.api_version, "kind": resource.kind}
        sent = json.dumps({**typed, **body} if isinstance(body, dict) else body).encode()
        for method, media_types in MEDIA_TYPES.items():
            for media_type in media_types:
                headers = {"authorization": f"Bearer {cluster.token}", "content-type": media_type}
                path = place if method == "POST" else f"{place}/z"
                request = Request(method=method, path=path, query={"fieldManager": "x"}, headers=headers, body=sent)
                response = cluster.api.handle(request)
                assert response.code in {200, 201, 400, 403, 404, 405, 409, 415, 422, 500}
                assert isinstance(json.loads(response.body), dict)
