# What somebody must look at: dead letters, messages that nobody takes, failures, a tick that does not succeed, requests that are
# refused or answered with an error, tasks that cannot publish.

locals {
  subscription_metric = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription"
  request_metric      = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND resource.labels.service_name"
}

resource "google_monitoring_alert_policy" "dead_letters" {
  for_each = local.model.dead_topics

  project               = var.project
  display_name          = "${each.value.name}: dead letters"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "${each.key} gave messages up: the attribute error of each in the subscription ${each.value.name} says why (docs/google.md, Dead letters)."
  }

  conditions {
    display_name = "messages in ${each.value.name}"

    condition_threshold {
      filter          = "${local.subscription_metric}/num_undelivered_messages\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead[each.key].name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "waiting" {
  for_each = local.model.subscriptions

  project               = var.project
  display_name          = "${each.value.name}: waiting"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "The oldest message to ${each.value.function} waits for more than ${var.waiting_seconds} s: too few run at once, or all fail."
  }

  conditions {
    display_name = "age of the oldest in ${each.value.name}"

    condition_threshold {
      filter          = "${local.subscription_metric}/oldest_unacked_message_age\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.pushes[each.key].name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.waiting_seconds
      duration        = "300s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "failures" {
  project               = var.project
  display_name          = "${var.prefix}: failures"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "More than ${var.failures} runs in ten minutes ended in an error that no retry helps: the log says which (jsonPayload.message=\"stage finished\", jsonPayload.outcome=\"failed\")."
  }

  conditions {
    display_name = "failures by stage and region"

    # A metric of a log is not known for some minutes after it is made: not looked up when the alarm is.
    condition_prometheus_query_language {
      query                     = "sum by (stage, location) (increase(logging_googleapis_com:user_${replace(google_logging_metric.failures.name, "/[^a-z0-9]/", "_")}{monitored_resource=\"cloud_run_revision\"}[10m])) > ${var.failures}"
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }
}

resource "google_monitoring_alert_policy" "schedule" {
  for_each = local.scheduled

  project               = var.project
  display_name          = "${each.value.name}: silent"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "No run of ${each.key} has succeeded for ten minutes: nothing is fetched at its interval, and drift is not seen. Its log says why (jsonPayload.outcome), if it runs."
  }

  conditions {
    display_name = "no requests that succeed"

    condition_absent {
      filter   = "${local.request_metric}=\"${each.value.name}\" AND resource.labels.location=\"${each.value.region}\" AND metric.labels.response_code_class=\"2xx\""
      duration = "600s"

      aggregations {
        alignment_period     = "60s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_RATE"
      }
    }
  }

  depends_on = [google_cloudfunctions2_function.stages]
}

resource "google_monitoring_alert_policy" "throttled" {
  for_each = { for stage, function in local.model.functions : stage => function if function.trigger == "http" }

  project               = var.project
  display_name          = "${each.value.name}: throttled"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "Requests to ${each.key} are refused: raise its concurrency (sizes), or find out who sends so many."
  }

  conditions {
    display_name = "answers with 429"

    condition_threshold {
      filter          = "${local.request_metric}=\"${each.value.name}\" AND resource.labels.location=\"${each.value.region}\" AND metric.labels.response_code=\"429\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "180s"

      aggregations {
        alignment_period     = "60s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_DELTA"
      }
    }
  }

  depends_on = [google_cloudfunctions2_function.stages]
}

# Of pushes: Cloud Run's own count of requests leaves out those that no instance was free for.
resource "google_monitoring_alert_policy" "refused" {
  project               = var.project
  display_name          = "${var.prefix}: pushes refused"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "Functions refuse what Pub/Sub pushes, for ten minutes: no instance is free (429: raise the concurrency in sizes), or they may not be called (401, 403). Messages come again, and are dead letters in the end (docs/operations.md, Quotas)."
  }

  conditions {
    display_name = "pushes that are answered with 4xx"

    condition_threshold {
      filter          = "${local.subscription_metric}/push_request_count\" AND metric.labels.response_class=\"remote_server_4xx\" AND resource.labels.subscription_id=one_of(${join(",", [for key in sort(keys(local.model.subscriptions)) : "\"${google_pubsub_subscription.pushes[key].name}\""])})"
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "600s"

      aggregations {
        alignment_period     = "60s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_DELTA"
      }
    }
  }
}

# A function that was killed, or has no memory left, says so in no line of its own.
resource "google_monitoring_alert_policy" "errors" {
  for_each = { for stage, function in local.model.functions : stage => function if function.trigger == "http" }

  project               = var.project
  display_name          = "${each.value.name}: errors"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "More than ${var.failures} requests to ${each.key} in ten minutes were answered with an error of the server: its log says why, or that it was killed."
  }

  conditions {
    display_name = "answers with 5xx"

    condition_threshold {
      filter          = "${local.request_metric}=\"${each.value.name}\" AND resource.labels.location=\"${each.value.region}\" AND metric.labels.response_code_class=\"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.failures
      duration        = "0s"

      aggregations {
        alignment_period     = "600s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_DELTA"
      }
    }
  }

  depends_on = [google_cloudfunctions2_function.stages]
}

resource "google_monitoring_alert_policy" "delayed" {
  for_each = local.model.places

  project               = var.project
  display_name          = "${each.value.tasks_queue} in ${each.key}: not taken"
  combiner              = "OR"
  notification_channels = var.alarm_channels
  user_labels           = local.labels

  documentation {
    content = "What was put off cannot be published: look at the queue's log, and at the rights of ${google_service_account.accounts[each.value.tasks_account].email}."
  }

  conditions {
    display_name = "attempts that failed"

    condition_threshold {
      # how success is called there is not documented: the code of RPC and that of HTTP are both seen
      filter          = "resource.type=\"cloud_tasks_queue\" AND metric.type=\"cloudtasks.googleapis.com/queue/task_attempt_count\" AND resource.labels.queue_id=\"${google_cloud_tasks_queue.delay[each.key].name}\" AND resource.labels.location=\"${each.key}\" AND metric.labels.response_code!=monitoring.regex.full_match(\"(?i)ok|2[0-9]{2}\")"
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "600s"

      aggregations {
        alignment_period     = "60s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_DELTA"
      }
    }
  }
}
