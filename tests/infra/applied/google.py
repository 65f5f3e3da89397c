"""The Google provider's types that this repository's modules use: on emulators where one has them, the others in the state alone.

Ids and names of those are made as the published provider's documentation says.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.infra.applied import google_real as real
from tests.infra.applied.world import Kept, World

NUMBER = "123456789012"


@dataclass(frozen=True, kw_only=True)
class GooglePlace:
    """``project``: the provider's; ``endpoints``: of the emulators, None where there are none.

    ``uris``: by name of a function, where it answers, for those that are started.
    """

    project: str
    endpoints: Any = None
    uris: dict[str, str] = field(default_factory=dict)

    def uri(self, name):
        return self.uris.get(name, f"https://{name}-{NUMBER}.europe-west3.run.app")


def _path(template):
    """Of a resource: ``projects/{project}/topics/{name}``."""
    return lambda given, place: template.format_map({**given, "project": given.get("project") or place.project})


def _email(given, place):
    return f"{given['account_id']}@{given.get('project') or place.project}.iam.gserviceaccount.com"


def _service(given, place):
    """What of a function its service says."""
    return [
        {
            "uri": place.uri(given["name"]),
            "service": _path("projects/{project}/locations/{location}/services/{name}")(given, place),
        }
    ]


def _member(*of):
    """A grant: nothing of it is changed in place."""
    return Kept.of(
        *of, "condition", "member", "role",
        id=lambda given, _: "/".join([*(str(given[each]) for each in of), given["role"], given["member"]]),
        etag=lambda _given, _place: "BwX=",
    )  # fmt: skip


_LOCATED = "projects/{project}/locations/{location}"
KEPT = {
    "google_artifact_registry_repository": Kept.of(
        "location", "repository_id", id=_path(_LOCATED + "/repositories/{repository_id}"), name=_path("{repository_id}")
    ),
    "google_artifact_registry_repository_iam_member": _member("location", "repository"),
    "google_billing_budget": Kept.of("billing_account", id=_path("billingAccounts/{billing_account}/budgets/1"), name=_path("1")),
    "google_cloud_run_v2_service_iam_member": _member("location", "name"),
    "google_cloud_scheduler_job": Kept.of("name", "region", id=_path("projects/{project}/locations/{region}/jobs/{name}")),
    "google_cloud_tasks_queue": Kept.of("location", "name", id=_path(_LOCATED + "/queues/{name}")),
    "google_cloud_tasks_queue_iam_member": _member("location", "name"),
    "google_cloudfunctions2_function": Kept.of(
        "location", "name",
        id=_path(_LOCATED + "/functions/{name}"),
        service_config=_service,
        url=lambda given, place: place.uri(given["name"]),
    ),
    "google_firestore_database": Kept.of("location_id", "name", id=_path("projects/{project}/databases/{name}")),
    "google_firestore_field": Kept.of(
        "collection", "database", "field",
        id=_path("projects/{project}/databases/{database}/collectionGroups/{collection}/fields/{field}"),
    ),
    "google_firestore_index": Kept.of(
        "collection", "database", "fields",
        id=_path("projects/{project}/databases/{database}/collectionGroups/{collection}/indexes/1"),
    ),
    "google_kms_crypto_key": Kept.of("key_ring", "name", id=_path("{key_ring}/cryptoKeys/{name}")),
    "google_kms_crypto_key_iam_member": _member("crypto_key_id"),
    "google_kms_key_ring": Kept.of("location", "name", id=_path(_LOCATED + "/keyRings/{name}")),
    "google_logging_metric": Kept.of("name", id=_path("{name}")),
    "google_logging_project_bucket_config": Kept.of(
        "bucket_id", "location", id=_path(_LOCATED + "/buckets/{bucket_id}"), name=_path(_LOCATED + "/buckets/{bucket_id}")
    ),
    "google_logging_project_exclusion": Kept.of("name", id=_path("projects/{project}/exclusions/{name}")),
    "google_logging_project_sink": Kept.of(
        "name",
        id=_path("projects/{project}/sinks/{name}"),
        writer_identity=lambda _given, _place: f"serviceAccount:service-{NUMBER}@gcp-sa-logging.iam.gserviceaccount.com",
    ),
    "google_monitoring_alert_policy": Kept.of(id=_path("projects/{project}/alertPolicies/1"), name=_path("projects/{project}/alertPolicies/1")),
    "google_monitoring_dashboard": Kept.of(id=_path("projects/{project}/dashboards/1")),
    "google_monitoring_notification_channel": Kept.of(
        id=_path("projects/{project}/notificationChannels/1"), name=_path("projects/{project}/notificationChannels/1")
    ),
    "google_project_iam_custom_role": Kept.of(
        "role_id", id=_path("projects/{project}/roles/{role_id}"), name=_path("projects/{project}/roles/{role_id}")
    ),
    "google_project_iam_member": _member("project"),
    "google_project_service": Kept.of("service", id=_path("{project}/{service}")),
    "google_pubsub_subscription_iam_member": _member("subscription"),
    "google_pubsub_topic_iam_member": _member("topic"),
    "google_service_account": Kept.of(
        "account_id",
        id=lambda given, place: f"projects/{given['project']}/serviceAccounts/{_email(given, place)}",
        name=lambda given, place: f"projects/{given['project']}/serviceAccounts/{_email(given, place)}",
        email=_email,
        member=lambda given, place: f"serviceAccount:{_email(given, place)}",
        unique_id=lambda _given, _place: "1",
    ),
    "google_service_account_iam_member": _member("service_account_id"),
    "google_storage_bucket_iam_member": _member("bucket"),
}  # fmt: skip
"""No emulator has them."""
REAL = {
    "google_pubsub_subscription": real.Subscription,
    "google_pubsub_topic": real.Topic,
    "google_secret_manager_secret": real.Secret,
    "google_storage_bucket": real.Bucket,
    "google_storage_bucket_object": real.BucketObject,
}
INSTEAD = {
    "google_pubsub_subscription": Kept.of(*real.Subscription.replaced, id=_path("projects/{project}/subscriptions/{name}")),
    "google_pubsub_topic": Kept.of(*real.Topic.replaced, id=_path("projects/{project}/topics/{name}")),
    "google_secret_manager_secret": Kept.of(*real.Secret.replaced, id=_path("projects/{project}/secrets/{secret_id}")),
    "google_storage_bucket": Kept.of(*real.Bucket.replaced, id=_path("{name}"), url=_path("gs://{name}")),
    "google_storage_bucket_object": Kept.of(
        *real.BucketObject.replaced, id=_path("{bucket}-{name}"), output_name=_path("{name}")
    ),
}  # fmt: skip
"""Of the same types where no emulator runs."""


def _project(config, place):
    project = config["project_id"] or place.project
    return {"id": f"projects/{project}", "number": NUMBER, "project_id": project, "name": project}


def _common(given, place):
    found = {"project": given["project"] or place.project} if "project" in given else {}
    if "labels" in given and "effective_labels" in given:
        found |= dict.fromkeys(("effective_labels", "terraform_labels"), given["labels"] or {})
    return found


def world(endpoints=None, uris=None):
    """Everything in the state alone, or with emulators behind those types that they have."""
    kinds = {**KEPT, **(REAL if endpoints else INSTEAD)}
    return World(
        kinds,
        {"google_project": _project},
        lambda config: GooglePlace(project=config["project"] or "", endpoints=endpoints, uris=uris or {}),
        _common,
    )
