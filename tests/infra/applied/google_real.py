"""Topics, subscriptions, buckets and secrets of the Google provider: Pub/Sub's emulator, fake-gcs-server, and the tests' own
Secret Manager."""

import base64
import hashlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from tests.infra.applied.world import Kind


class GoogleKind(Kind):
    """``live`` says None where the answer is 404."""

    def call(self, method, url, body=None):
        """The answer's value. ``body``: JSON, or bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(url, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                error.add_note(error.read().decode(errors="replace")[:500])
            raise

    def live(self, state):
        try:
            return self.now(state)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def now(self, state):
        raise NotImplementedError


class Topic(GoogleKind):
    replaced = ("name", "project")

    def _url(self, path):
        return f"{self.place.endpoints.pubsub}/v1/{path}"

    def put(self, given, before):
        path = f"projects/{given['project']}/topics/{given['name']}"
        assert before is None, "no topic is changed here"
        regions = given.first("message_storage_policy")["allowed_persistence_regions"]
        body = {"labels": given["labels"], "messageStoragePolicy": {"allowedPersistenceRegions": regions}}
        self.call("PUT", self._url(path), body)
        return {"id": path}

    def now(self, state):
        found = self.call("GET", self._url(state["id"]))
        return {"labels": found.get("labels")}

    def delete(self, state):
        self.call("DELETE", self._url(state["id"]))


class Subscription(GoogleKind):
    """The emulator keeps messages for 7 days at most: retention beyond that is in the state alone."""

    replaced = ("enable_message_ordering", "filter", "name", "project", "topic")
    kept = ("message_retention_duration",)

    def _url(self, path):
        return f"{self.place.endpoints.pubsub}/v1/{path}"

    def put(self, given, before):
        path = f"projects/{given['project']}/subscriptions/{given['name']}"
        body = {
            "topic": given["topic"],
            "ackDeadlineSeconds": given["ack_deadline_seconds"],
            "labels": given["labels"],
            "enableMessageOrdering": bool(given["enable_message_ordering"]),
            "expirationPolicy": {} if given.first("expiration_policy") == {"ttl": ""} else None,
        }
        if given["filter"]:
            body["filter"] = given["filter"]
        if push := given.first("push_config"):
            token = push["oidc_token"][0]
            said = {"serviceAccountEmail": token["service_account_email"], "audience": token["audience"]}
            body["pushConfig"] = {"pushEndpoint": push["push_endpoint"], "oidcToken": said}
        if dead := given.first("dead_letter_policy"):
            attempts = dead["max_delivery_attempts"]
            body["deadLetterPolicy"] = {"deadLetterTopic": dead["dead_letter_topic"], "maxDeliveryAttempts": attempts}
        if retry := given.first("retry_policy"):
            body["retryPolicy"] = {
                "minimumBackoff": retry["minimum_backoff"],
                "maximumBackoff": retry["maximum_backoff"],
            }
        if before is None:
            self.call("PUT", self._url(path), body)
        else:
            mask = ",".join(name for name in body if name not in {"topic", "filter", "enableMessageOrdering"})
            self.call("PATCH", self._url(path), {"subscription": {"name": path, **body}, "updateMask": mask})
        return {"id": path}

    def now(self, state):
        found = self.call("GET", self._url(state["id"]))
        push = found.get("pushConfig", {}).get("pushEndpoint")
        now = {"ack_deadline_seconds": found["ackDeadlineSeconds"], "topic": found["topic"]}
        if state["push_config"]:
            now["push_config"] = [{**state["push_config"][0], "push_endpoint": push}]
        return now

    def delete(self, state):
        self.call("DELETE", self._url(state["id"]))


class Bucket(GoogleKind):
    replaced = ("location", "name", "project")

    def _url(self, name, tail=""):
        return f"{self.place.endpoints.storage}/storage/v1/b/{name}{tail}"

    def put(self, given, before):
        name = given["name"]
        rules = [
            {"action": {"type": each["action"][0]["type"]}, "condition": {"age": each["condition"][0]["age"]}}
            for each in given["lifecycle_rule"]
        ]
        body = {
            "name": name,
            "location": given["location"],
            "labels": given["labels"],
            "iamConfiguration": {
                "publicAccessPrevention": given["public_access_prevention"],
                "uniformBucketLevelAccess": {"enabled": given["uniform_bucket_level_access"]},
            },
            "lifecycle": {"rule": rules},
            "softDeletePolicy": {
                "retentionDurationSeconds": given.first("soft_delete_policy")["retention_duration_seconds"]
            },
        }
        _ = given["force_destroy"]  # what delete asks the state for
        if before is None:
            self.call("POST", f"{self.place.endpoints.storage}/storage/v1/b?project={given['project']}", body)
        return {"id": name, "self_link": self._url(name), "url": f"gs://{name}"}

    def now(self, state):
        return {"name": self.call("GET", self._url(state["name"]))["name"]}

    def delete(self, state):
        """As the published provider: it looks before it asks."""
        name = state["name"]
        kept = [each["name"] for each in self.call("GET", self._url(name, "/o")).get("items", ())]
        if kept and not state["force_destroy"]:
            raise ValueError(f"bucket {name} has objects, and force_destroy is not set")
        for each in kept:
            self.call("DELETE", self._url(name, f"/o/{quote(each, safe='')}"))
        self.call("DELETE", self._url(name))


class BucketObject(GoogleKind):
    replaced = ("bucket", "name", "source")

    def put(self, given, before):
        bucket, name, data = given["bucket"], given["name"], Path(given["source"]).read_bytes()
        where = f"{self.place.endpoints.storage}/upload/storage/v1/b/{bucket}/o"
        self.call("POST", f"{where}?uploadType=media&name={quote(name, safe='')}", data)
        return {"id": f"{bucket}-{name}", "output_name": name, "md5hash": _md5(data)}

    def _url(self, state):
        return f"{self.place.endpoints.storage}/storage/v1/b/{state['bucket']}/o/{quote(state['name'], safe='')}"

    def now(self, state):
        return {"md5hash": self.call("GET", self._url(state))["md5Hash"]}

    def delete(self, state):
        self.call("DELETE", self._url(state))


def _md5(data):
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


class Secret(GoogleKind):
    """``deletion_protection`` is the published provider's own: it asks nobody to delete what has it."""

    replaced = ("project", "replication", "secret_id")

    def _url(self, state):
        base = f"{self.place.endpoints.secrets}/v1/projects/{state['project']}/secrets"
        return base if "name" not in state else f"{base}/{state['secret_id']}"

    def put(self, given, before):
        ident, project = given["secret_id"], given["project"]
        replicas = given.first("replication")["user_managed"][0]["replicas"]
        body = {
            "labels": given["labels"],
            "replication": {"userManaged": {"replicas": [{"location": each["location"]} for each in replicas]}},
        }
        _ = given["deletion_protection"]  # what delete asks the state for
        if before is None:
            base = f"{self.place.endpoints.secrets}/v1/projects/{project}/secrets"
            made = self.call("POST", f"{base}?secretId={ident}", body)
            return {"id": f"projects/{project}/secrets/{ident}", "name": made["name"]}
        return {}

    def now(self, state):
        return {"labels": self.call("GET", self._url(state))["labels"]}

    def delete(self, state):
        if state["deletion_protection"]:
            raise ValueError(f"secret {state['secret_id']} has deletion_protection")
        self.call("DELETE", self._url(state))
