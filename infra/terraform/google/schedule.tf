# Once a minute: the stages that a schedule starts.

locals {
  scheduled = { for stage, function in local.model.functions : stage => function if function.trigger == "schedule" }
}

resource "google_cloud_scheduler_job" "schedule" {
  for_each = local.scheduled

  project          = var.project
  region           = each.value.region
  name             = each.value.name
  description      = "starts ${each.key}"
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "${each.value.timeout}s"

  # A minute later comes the next one.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = google_cloudfunctions2_function.stages[each.key].service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.accounts["push"].email
      audience              = google_cloudfunctions2_function.stages[each.key].service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.grants]
}
