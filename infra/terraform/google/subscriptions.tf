# Pushes: each topic to the functions that hear it, and to the scheduled one the dead letters of which nobody has told.

resource "google_pubsub_subscription" "pushes" {
  for_each = local.model.subscriptions

  project                    = var.project
  name                       = each.value.name
  topic                      = each.value.of_dead ? google_pubsub_topic.dead[each.value.topic].id : google_pubsub_topic.topics[each.value.topic].id
  ack_deadline_seconds       = each.value.ack_seconds
  filter                     = each.value.filter == "" ? null : each.value.filter
  enable_message_ordering    = each.value.ordered
  message_retention_duration = "${14 * 86400}s"
  labels                     = local.labels

  dynamic "dead_letter_policy" {
    for_each = each.value.attempts == null ? [] : [each.value.attempts]

    content {
      dead_letter_topic     = google_pubsub_topic.dead[each.value.dead_topic].id
      max_delivery_attempts = dead_letter_policy.value
    }
  }

  # Never.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = google_cloudfunctions2_function.stages[each.value.function].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.accounts[each.value.caller].email
      audience              = google_cloudfunctions2_function.stages[each.value.function].service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.backoff.least}s"
    maximum_backoff = "${each.value.backoff.most}s"
  }

  # A push that is refused has used up a delivery.
  depends_on = [google_cloud_run_v2_service_iam_member.grants]
}
