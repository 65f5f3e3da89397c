# Once a minute: the stages that a schedule starts.

locals {
  scheduled = { for stage, function in local.model.functions : stage => function if function.trigger == "schedule" }
}

resource "aws_cloudwatch_event_rule" "schedule" {
  for_each = local.scheduled

  name                = each.value.name
  description         = "starts ${each.key}"
  schedule_expression = "rate(1 minute)"
  tags                = local.tags
}

# Without an input of its own: the function takes only events of a schedule.
resource "aws_cloudwatch_event_target" "schedule" {
  for_each = local.scheduled

  rule = aws_cloudwatch_event_rule.schedule[each.key].name
  arn  = aws_lambda_function.stages[each.key].arn
}

resource "aws_lambda_permission" "schedule" {
  for_each = local.scheduled

  statement_id  = "Schedule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.stages[each.key].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.schedule[each.key].arn
}

# A minute later comes the next one.
resource "aws_lambda_function_event_invoke_config" "schedule" {
  for_each = local.scheduled

  function_name                = aws_lambda_function.stages[each.key].function_name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 1
}
