# Whom alarms and the budget reach.

resource "google_monitoring_notification_channel" "operators" {
  project      = var.project
  display_name = "platform"
  type         = "email"
  labels       = { email_address = "platform@example.com" }

  depends_on = [google_project_service.services]
}
