resource "aws_cloudwatch_dashboard" "plane" {
  dashboard_name = var.prefix
  dashboard_body = jsonencode(local._model.dashboard)
}
