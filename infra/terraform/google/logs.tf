# Logs of the functions: in a bucket of their own in their region, kept as long as said, and not in _Default as well.

locals {
  services = join(" OR ", [for name in sort(values(local.model.names.functions)) : "\"${name}\""])
  regions  = join(" OR ", [for region in keys(local.model.places) : "\"${region}\""])
  logs     = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${local.services}) AND resource.labels.location=(${local.regions})"
}

resource "google_logging_project_bucket_config" "logs" {
  for_each = local.model.places

  project        = var.project
  location       = each.key
  bucket_id      = each.value.logs
  description    = "Functions of plane ${var.prefix}"
  retention_days = var.log_retention_days
}

resource "google_logging_project_sink" "logs" {
  for_each = local.model.places

  project                = var.project
  name                   = each.value.logs
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.logs[each.key].id}"
  filter                 = "${local.logs} AND resource.labels.location=\"${each.key}\""
  unique_writer_identity = true
}

resource "google_logging_project_exclusion" "logs" {
  project     = var.project
  name        = var.prefix
  description = "In log buckets of plane ${var.prefix} instead"
  filter      = local.logs

  depends_on = [google_logging_project_sink.logs]
}

# Counted where they come in, whatever is kept of them: the last line of each run that ended in an error that no retry helps, and
# each message that was given up. Other lines say "failed", too: of a source that does not answer, say, which is looked at again.
resource "google_logging_metric" "failures" {
  project = var.project
  name    = "${var.prefix}/failures"
  filter  = "${local.logs} AND ((jsonPayload.message=\"stage finished\" AND jsonPayload.outcome=\"failed\") OR jsonPayload.message=\"dead letter\")"

  label_extractors = {
    stage  = "EXTRACT(jsonPayload.stage)"
    reason = "EXTRACT(jsonPayload.reason)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key = "stage"
    }

    labels {
      key = "reason"
    }
  }
}
