# One service account a stage and region; build makes the images, push calls the functions for Pub/Sub and Cloud Scheduler, tasks
# publishes for Cloud Tasks. None has a key.

resource "google_service_account" "accounts" {
  for_each = local.model.names.accounts

  project      = var.project
  account_id   = each.value
  display_name = "penstock ${var.prefix}: ${each.key}"
}
