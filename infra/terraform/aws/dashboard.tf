resource "aws_cloudwatch_dashboard" "plane" {
  dashboard_name = local._model.names.dashboard
  dashboard_body = jsonencode(local._model.dashboard)
}
