"""A plane in two regions on Google Cloud: names by region on the emulators, and no write of a cluster's elsewhere."""

import base64
import contextlib
import json

import pytest
from tests.google import plane as google
from tests.google.cloud_tasks import cloud_tasks
from tests.google.regional import hand
from tests.google.secret_manager import secret_manager
from tests.regional_plane import RegionalPlane, document, mentions, woken

from penstock.adapters.clock.system import SystemClock
from penstock.adapters.google.client import GoogleClient
from penstock.cli.plane import change_plane
from penstock.core.errors import Refused
from penstock.wiring import functions, load_pipeline, settings_from

HOME, FAR = "europe-west3", "us-central1"
ENVIRONMENT = {
    "PENSTOCK_BACKEND": "google",
    "GOOGLE_CLOUD_PROJECT": google.PROJECT,
    "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
    "PENSTOCK_GOOGLE_PREFIX": "plane-1",
    "PENSTOCK_GOOGLE_TASKS_ACCOUNT": "tasks@penstock-test.iam.gserviceaccount.com",
    "PENSTOCK_GOOGLE_HOME_REGION": HOME,
    "PENSTOCK_GOOGLE_REGIONS": FAR,
}


def test_names_of_a_further_region_end_with_it_and_its_secrets_are_there_alone():
    names = settings_from({**ENVIRONMENT, "PENSTOCK_GOOGLE_REGION": HOME}).google
    far, home = names.at(FAR), names.at(HOME)
    assert far.topic("event") == f"projects/{google.PROJECT}/topics/plane-1-event-{FAR}"
    assert far.subscription("notify", "event").endswith(f"/plane-1-notify-event-{FAR}")
    assert far.dead_topic("fetch").endswith(f"/plane-1-fetch-dead-{FAR}")
    assert (far.bucket, far.documents) == (
        f"acme-penstock-{FAR}",
        f"projects/{google.PROJECT}/databases/plane-1-state-{FAR}/documents",
    )
    assert far.hooks == f"projects/{google.PROJECT}/databases/plane-1-hooks-{FAR}/documents"
    assert far.index == f"projects/{google.PROJECT}/databases/plane-1-index-{FAR}/documents"
    assert far.tasks_queue == f"projects/{google.PROJECT}/locations/{FAR}/queues/plane-1-delay"
    assert (far.secret_prefix, home.secret_prefix) == (f"plane-1_{FAR}-", "plane-1-")
    assert (home.topic("event"), home.bucket) == (names.topic("event"), names.bucket)


class Writes:
    """(method, URL, body) of each request that is no read."""

    def __init__(self, monkeypatch):
        self.made = []
        send = GoogleClient.send

        def spied(client, method, url, act, body=b"", headers=None):
            if method != "GET" and not url.endswith((":runQuery", ":batchGet")):
                self.made.append((method, url, body.decode("latin-1")))
            return send(client, method, url, act, body, headers)

        monkeypatch.setattr(GoogleClient, "send", spied)

    def misplaced(self, cluster, region):
        """Those that name a cluster and do not go to its region."""
        found = []
        for method, url, body in self.made:
            text = body + url + _messages(url, body)
            index = '"receiver/' in body or '"stringValue":"plane"' in body
            if mentions(text, cluster) and not index and not _goes_to(url, body, region):
                found.append((method, url))
        return found


def _messages(url, body):
    """What a publish request holds, readable."""
    if not url.endswith(":publish"):
        return ""
    return "".join(base64.b64decode(each["data"]).decode() for each in json.loads(body)["messages"])


def _goes_to(url, body, region):
    if "replication" in body and f'"location":"{region}"' not in body:
        return False
    return (region == FAR) == (f"-{FAR}" in url or f"_{FAR}-" in url or f"/locations/{FAR}/" in url)


@pytest.fixture
def plane(monkeypatch):
    monkeypatch.setattr(functions, "runtime", functions.runtime)
    with contextlib.ExitStack() as stack:
        tasks, secrets = stack.enter_context(cloud_tasks()), stack.enter_context(secret_manager())
        bases = [stack.enter_context(make()) for make in (google.pubsub, google.firestore, google.storage)]
        pubsub, firestore, storage = (base.removeprefix("http://") for base in bases)
        environment = {
            **ENVIRONMENT,
            "PUBSUB_EMULATOR_HOST": pubsub,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "STORAGE_EMULATOR_HOST": storage,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS": tasks.base,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": secrets.base,
        }
        for region in (HOME, FAR):
            names = settings_from({**environment, "PENSTOCK_GOOGLE_REGION": region}).google.at(region)
            google.make_topics(names, load_pipeline())
            google.drop_records(names.endpoints.firestore, names)
            url = f"{names.endpoints.storage}/storage/v1/b?project={google.PROJECT}"
            with contextlib.suppress(OSError):
                google.request("POST", url, {"name": names.bucket})
        environments = {region: {**environment, "PENSTOCK_GOOGLE_REGION": region} for region in (HOME, FAR)}
        made = RegionalPlane(environments, HOME, SystemClock(), hand)
        made.writes, made.secret_manager = Writes(monkeypatch), secrets
        change_plane(made.runtimes[HOME], document(FAR))
        made.commit()
        made.runtimes[HOME].publish([woken()])
        made.settle()
        yield made
        google.drop_topics(names)


@pytest.mark.real
def test_everything_of_a_cluster_is_written_in_its_region_alone(plane):
    assert plane.config_map("near", "a") == plane.config_map("far", "a") == {"x": "1"}
    assert plane.config_map("far", "b") == {"x": "1"}
    assert plane.writes.misplaced("far", FAR) == []
    assert plane.writes.misplaced("near", HOME) == []
    (kept,) = plane.secret_manager.kept.values()
    assert kept["replication"] == {"userManaged": {"replicas": [{"location": FAR}]}}
    names = plane.runtimes[HOME].settings.google
    assert any(f"/b/{names.at(FAR).bucket}/" in url for _, url, _ in plane.writes.made)
    with pytest.raises(Refused, match="this plane has"):
        change_plane(plane.runtimes[HOME], document("asia-east1"))
