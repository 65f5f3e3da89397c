# What is put off: tasks that publish, as an account of their own. They are tried until they are taken; an alarm tells
# where they are not. A queue that was deleted keeps its name from others for days.

resource "google_cloud_tasks_queue" "delay" {
  for_each = local.model.places

  project  = var.project
  location = each.key
  name     = each.value.tasks_queue

  rate_limits {
    max_concurrent_dispatches = 1000
    max_dispatches_per_second = 500
  }

  retry_config {
    max_attempts = -1
    min_backoff  = "1s"
    max_backoff  = "300s"
  }

  stackdriver_logging_config {
    sampling_ratio = 0.01
  }
}
