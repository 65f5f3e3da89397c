# Topics, and by stage that they feed: what it gives up, which is kept for operators.

resource "google_pubsub_topic" "topics" {
  # checkov:skip=CKV_GCP_83:encrypted with keys that Google keeps; messages are pointers, without manifests and secrets
  for_each = local.model.topics

  project = var.project
  name    = each.value.name
  labels  = local.labels

  message_storage_policy {
    allowed_persistence_regions = [each.value.region]
  }
}

resource "google_pubsub_topic" "dead" {
  # checkov:skip=CKV_GCP_83:encrypted with keys that Google keeps; messages are pointers, without manifests and secrets
  for_each = local.model.dead_topics

  project = var.project
  name    = each.value.name
  labels  = local.labels

  message_storage_policy {
    allowed_persistence_regions = [each.value.region]
  }
}

resource "google_pubsub_subscription" "dead" {
  for_each = local.model.dead_topics

  project                    = var.project
  name                       = each.value.name
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = 60
  message_retention_duration = "${14 * 86400}s"
  labels                     = local.labels

  # Never.
  expiration_policy {
    ttl = ""
  }
}
