# What somebody must look at: dead letters, messages that nobody takes, a tick that does not run, refused requests.

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.model.queues

  alarm_name          = "${local.model.names.dead_queues[each.key]}-letters"
  alarm_description   = "${each.key} gave messages up: the attribute error of each in the queue says why (docs/aws.md, Dead letters)."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead[each.key].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "waiting" {
  for_each = local.model.queues

  alarm_name          = "${local.model.names.queues[each.key]}-waiting"
  alarm_description   = "The oldest message of ${each.key} waits for more than ${var.waiting_seconds} s: its function is throttled, too few run at once, or all fail."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.queues[each.key].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.waiting_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "schedule" {
  for_each = local.scheduled

  alarm_name          = "${each.value.name}-silent"
  alarm_description   = "${each.key} has not run for five minutes: nothing is fetched at its interval, and drift is not seen."
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = aws_lambda_function.stages[each.key].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  for_each = local.http

  alarm_name          = "${each.value.name}-throttled"
  alarm_description   = "Requests to ${each.key} are refused: raise its concurrency (sizes), or find out who sends so many."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = aws_lambda_function.stages[each.key].function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}
