resource "google_monitoring_dashboard" "plane" {
  for_each = local.model.dashboards

  project        = var.project
  dashboard_json = jsonencode(each.value)
}
