resource "aws_cloudwatch_dashboard" "plane" {
  dashboard_name = local.model.names.dashboard
  dashboard_body = jsonencode(local.model.dashboard)
}
