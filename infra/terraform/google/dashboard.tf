resource "google_monitoring_dashboard" "plane" {
  project        = var.project
  dashboard_json = jsonencode(local._model.dashboard)
}
