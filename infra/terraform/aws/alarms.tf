# What somebody must look at: dead letters, messages that nobody takes, failures, a tick that does not succeed, requests that
# are refused or answered with an error, messages that do not reach a queue.

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

# Counted where they come in, whatever is kept of them: the last line of each run that ended in an error that no retry helps, and
# each message that was given up. Other lines say "failed", too: of a source that does not answer, say, which is looked at again.
resource "aws_cloudwatch_log_metric_filter" "failures" {
  for_each = local.model.functions

  name           = "failures"
  log_group_name = aws_cloudwatch_log_group.stages[each.key].name
  pattern        = "{ (($.message = \"stage finished\") && ($.outcome = \"failed\")) || ($.message = \"dead letter\") }"

  metric_transformation {
    name          = "${each.key}-failures"
    namespace     = "penstock/${var.prefix}"
    default_value = "0"
    value         = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = local.model.functions

  alarm_name          = "${each.value.name}-failures"
  alarm_description   = "More than ${var.failures} runs of ${each.key} in ten minutes ended in an error that no retry helps, or did not end (killed, out of memory): its log says which ($.message = \"stage finished\", $.outcome = \"failed\")."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failures
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags

  metric_query {
    id          = "all"
    expression  = "SUM(METRICS())"
    label       = "failures"
    return_data = true
  }

  metric_query {
    id = "said"

    metric {
      namespace   = aws_cloudwatch_log_metric_filter.failures[each.key].metric_transformation[0].namespace
      metric_name = aws_cloudwatch_log_metric_filter.failures[each.key].metric_transformation[0].name
      period      = 600
      stat        = "Sum"
    }
  }

  metric_query {
    id = "died"

    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.stages[each.key].function_name }
      period      = 600
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "schedule" {
  for_each = local.scheduled

  alarm_name          = "${each.value.name}-silent"
  alarm_description   = "No run of ${each.key} has succeeded for five minutes: nothing is fetched at its interval, and drift is not seen. Its log says why ($.outcome), if it runs."
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags

  metric_query {
    id          = "ended"
    expression  = "started - FILL(failed, 0)"
    label       = "runs that succeed"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { started = "Invocations", failed = "Errors" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        dimensions  = { FunctionName = aws_lambda_function.stages[each.key].function_name }
        period      = 300
        stat        = "Sum"
      }
    }
  }
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

# Whatever the reason: an answer of the function's own (503: its records, its topics or its secrets are out of reach), one that
# was killed, or that has no memory left.
resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.http

  alarm_name          = "${each.value.name}-errors"
  alarm_description   = "More than ${var.failures} requests to ${each.key} in ten minutes were answered with an error of the server: its log says why, or that it was killed."
  namespace           = "AWS/Lambda"
  metric_name         = "Url5xxCount"
  dimensions          = { FunctionName = aws_lambda_function.stages[each.key].function_name }
  statistic           = "Sum"
  period              = 600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failures
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags

  depends_on = [aws_lambda_function_url.http]
}

# What SNS hands to a queue, and EventBridge Scheduler to SNS: what does not arrive is lost until tick finds what it was about.
locals {
  handed_over = merge(
    {
      for topic, name in local.model.names.topics : topic => {
        name       = "${name}-undelivered"
        says       = "Messages to ${topic} do not reach a queue behind it: look at the queues' policies."
        namespace  = "AWS/SNS"
        metric     = "NumberOfNotificationsFailed"
        dimensions = { TopicName = aws_sns_topic.topics[topic].name }
      }
    },
    {
      "put off" = {
        name       = "${local.model.names.schedule_group}-delay-dropped"
        says       = "What was put off by more than fifteen minutes cannot be published: look at the rights of ${aws_iam_role.scheduler.name}."
        namespace  = "AWS/Scheduler"
        metric     = "InvocationDroppedCount"
        dimensions = { ScheduleGroup = aws_scheduler_schedule_group.later.name }
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "handed_over" {
  for_each = local.handed_over

  alarm_name          = each.value.name
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}
