# By stage, in each region: the function. It is built from the bundle by an account that can do nothing else, and runs as its stage.
#
# google_cloudfunctions2_function, not google_cloud_run_v2_service with build_config: the provider does not build there.

resource "google_cloudfunctions2_function" "stages" {
  # checkov:skip=CKV_GCP_124:webhook and api alone take calls from everywhere, and verify before they parse; the others Google's own
  for_each = local.model.functions

  name     = each.value.name
  project  = var.project
  location = each.value.region
  labels   = local.labels

  build_config {
    docker_repository     = google_artifact_registry_repository.images[each.value.region].id
    entry_point           = each.value.stage
    environment_variables = each.value.build
    runtime               = var.runtime
    service_account       = google_service_account.accounts["build"].id

    source {
      storage_source {
        bucket = google_storage_bucket_object.bundle.bucket
        object = google_storage_bucket_object.bundle.name
      }
    }
  }

  service_config {
    all_traffic_on_latest_revision   = true
    available_memory                 = each.value.memory
    environment_variables            = each.value.environment
    ingress_settings                 = each.value.ingress
    max_instance_count               = each.value.instances
    max_instance_request_concurrency = 1
    service_account_email            = google_service_account.accounts[each.key].email
    timeout_seconds                  = each.value.timeout
  }

  # What it may do comes first: its first message may wait already.
  depends_on = [
    google_artifact_registry_repository_iam_member.grants,
    google_cloud_tasks_queue_iam_member.grants,
    google_project_iam_member.grants,
    google_pubsub_topic_iam_member.grants,
    google_service_account_iam_member.grants,
    google_storage_bucket_iam_member.grants,
  ]
}

# Images of each region's functions: Cloud Functions takes no other region's. Cloud Run keeps what it serves; of the others two are enough to go back.
resource "google_artifact_registry_repository" "images" {
  # checkov:skip=CKV_GCP_84:encrypted with keys that Google keeps; images are this release's, without secrets
  for_each = local.model.places

  project       = var.project
  location      = each.key
  repository_id = local.model.names.repository
  description   = "Images of the functions of plane ${var.prefix}"
  format        = "DOCKER"
  labels        = local.labels

  cleanup_policies {
    id     = "old"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }

  cleanup_policies {
    id     = "newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 3
    }
  }
}
