"""Which permissions a call to Google's APIs needs, and whether this project's grants give them.

Sources: Google's documentation (docs.cloud.google.com and firebase.google.com), as far as copies of it could be read in
2026: whole pages or excerpts. Never tried on a real project:

| API | page |
| --- | --- |
| Pub/Sub | pubsub/docs/access-control: projects.topics.publish needs pubsub.topics.publish on the topic |
| Cloud Tasks | tasks/docs/access-control and reference v2 OAuthToken: cloudtasks.tasks.create on the queue, iam.serviceAccounts.actAs on the account of the token |
| Firestore | firestore/docs/security/iam: get and batchGet: entities.get; runQuery: entities.get, entities.list; commit: update with exists=false: entities.create, with exists=true: entities.update, without: both; delete: entities.delete. A precondition by update time is one that it exists |
| Cloud Storage | storage/docs/access-control/iam-json: objects.get, objects.insert (storage.objects.create; storage.objects.delete only where one is overwritten, which ifGenerationMatch=0 refuses), objects.delete, objects.list. Without storage.objects.list a missing object reads as 403 |
| Secret Manager | reference v1: projects.secrets.create needs secretmanager.secrets.create on the project, all others on the secret or version |

Resource names in conditions: iam/docs/conditions-resource-attributes (of secrets with the project's number).
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from penstock.core.cel.expression import compile_boolean

NUMBER = "123456789012"


@dataclass(frozen=True, kw_only=True)
class Need:
    """One permission on one resource. ``kind``, ``name``: as grants have them; ``path``: as conditions know it.

    ``region``: of what has its name there only.
    """

    permission: str
    kind: str
    name: str
    path: str = ""
    region: str = ""
    within: frozenset = field(default=frozenset())
    """Kinds, names and regions of what the resource is in: a grant there counts too."""


def needs(method, url, body):
    """The rights that one call needs."""
    parts = urlsplit(url)
    path, query = unquote(parts.path), parse_qs(parts.query)
    for pattern, make in _CALLS:
        if found := re.fullmatch(pattern, f"{method} {path}"):
            return list(make(found.groupdict(), query, body))
    raise AssertionError(f"no rights are known for {method} {url}")


def later(url, body):
    """What Cloud Tasks needs, as its own account, to do a task that one call makes."""
    if not re.search(r"/queues/[^/]+/tasks$", urlsplit(url).path):
        return []
    request = json.loads(body)["task"]["httpRequest"]
    return needs(request.get("httpMethod", "POST"), request["url"], b"")


def _publish(found, _query, _body):
    yield _in_project("pubsub.topics.publish", "topic", found["topic"], found["project"])


def _task(found, _query, body):
    yield _in_project("cloudtasks.tasks.create", "queue", found["queue"], found["project"], found["region"])
    account = json.loads(body)["task"]["httpRequest"]["oauthToken"]["serviceAccountEmail"]
    yield _in_project("iam.serviceAccounts.actAs", "account", account, found["project"])


def _read_record(found, _query, _body):
    yield _record("get", found)


def _query_records(found, _query, _body):
    yield _record("get", found)
    yield _record("list", found)


def _commit(found, _query, body):
    for write in json.loads(body)["writes"]:
        condition = write.get("currentDocument", {})
        if "delete" in write:
            verbs = ["delete"]
        elif condition.get("exists") is False:
            verbs = ["create"]
        elif condition:
            verbs = ["update"]
        else:
            verbs = ["create", "update"]
        for verb in verbs:
            yield _record(verb, found)


def _record(verb, found):
    path = f"projects/{found['project']}/databases/{found['database']}"
    return Need(permission=f"datastore.entities.{verb}", kind="project", name=found["project"], path=path)


def _list_objects(found, _query, _body):
    yield Need(permission="storage.objects.list", kind="bucket", name=found["bucket"])


def _get_object(found, query, body):
    yield _object("get", found)
    yield from _list_objects(found, query, body)


def _delete_object(found, query, body):
    yield _object("delete", found)
    yield from _list_objects(found, query, body)


def _put_object(found, query, body):
    assert query["ifGenerationMatch"] == ["0"]
    name = json.loads(re.search(rb"\r\n\r\n(\{.*?\})\r\n", body)[1])["name"]
    yield _object("create", {**found, "object": name})


def _object(verb, found):
    path = f"projects/_/buckets/{found['bucket']}/objects/{found['object']}"
    return Need(permission=f"storage.objects.{verb}", kind="bucket", name=found["bucket"], path=path)


def _make_secret(found, _query, _body):
    yield Need(permission="secretmanager.secrets.create", kind="project", name=found["project"])


def _of_secret(permission):
    def make(found, _query, _body):
        tail = f"/versions/{found['version']}" if found.get("version") else ""
        path = f"projects/{NUMBER}/secrets/{found['secret']}{tail}"
        yield Need(permission=f"secretmanager.{permission}", kind="project", name=found["project"], path=path)

    return make


def _in_project(permission, kind, name, project, region=""):
    within = frozenset({("project", project, "")})
    return Need(permission=permission, kind=kind, name=name, region=region, within=within)


_PROJECT = r"/v\d/projects/(?P<project>[^/]+)"
_DATABASE = rf"{_PROJECT}/databases/(?P<database>[^/]+)/documents"
_SECRET = rf"{_PROJECT}/secrets/(?P<secret>[^/:]+)"
_BUCKET = r"/storage/v1/b/(?P<bucket>[^/]+)/o"
_CALLS = (
    (rf"POST {_PROJECT}/topics/(?P<topic>[^/:]+):publish", _publish),
    (rf"POST {_PROJECT}/locations/(?P<region>[^/]+)/queues/(?P<queue>[^/]+)/tasks", _task),
    (rf"GET {_DATABASE}/.+", _read_record),
    (rf"POST {_DATABASE}:batchGet", _read_record),
    (rf"POST {_DATABASE}:runQuery", _query_records),
    (rf"POST {_DATABASE}:commit", _commit),
    (rf"GET {_BUCKET}", _list_objects),
    (rf"GET {_BUCKET}/(?P<object>.+)", _get_object),
    (rf"DELETE {_BUCKET}/(?P<object>.+)", _delete_object),
    (rf"POST /upload{_BUCKET}", _put_object),
    (rf"POST {_PROJECT}/secrets", _make_secret),
    (rf"GET {_SECRET}", _of_secret("secrets.get")),
    (rf"DELETE {_SECRET}", _of_secret("secrets.delete")),
    (rf"POST {_SECRET}:addVersion", _of_secret("versions.add")),
    (rf"GET {_SECRET}/versions/(?P<version>[^/:]+):access", _of_secret("versions.access")),
    (rf"POST {_SECRET}/versions/(?P<version>[^/:]+):destroy", _of_secret("versions.destroy")),
)


def giving(model, who, need):
    """The names of the model's grants that give this."""
    return [
        name
        for name, grant in model["grants"].items()
        if grant["who"] == who
        and need.permission in model["permissions"][grant["role"]]
        and ((grant["kind"], grant["resource"], grant["region"]) in {(need.kind, need.name, need.region), *need.within})
        and _holds(grant["condition"]["expression"], need.path)
    ]


def _holds(expression, path):
    return not expression or compile_boolean(expression, ("resource",)).holds({"resource": {"name": path}})
