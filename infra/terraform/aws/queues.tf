# By stage that topics feed: its queue, what it gives up, and how its function takes from it.

resource "aws_sqs_queue" "dead" {
  for_each = local.model.queues

  name                      = local.model.names.dead_queues[each.key]
  fifo_queue                = each.value.ordered ? true : null
  message_retention_seconds = 14 * 86400
  sqs_managed_sse_enabled   = true
  tags                      = local.tags
}

resource "aws_sqs_queue" "queues" {
  for_each = local.model.queues

  name                       = local.model.names.queues[each.key]
  deduplication_scope        = each.value.ordered ? "messageGroup" : null
  fifo_queue                 = each.value.ordered ? true : null
  fifo_throughput_limit      = each.value.ordered ? "perMessageGroupId" : null
  message_retention_seconds  = 14 * 86400
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = each.value.visibility
  tags                       = local.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = each.value.attempts
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = local.model.queues

  queue_url = aws_sqs_queue.dead[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.queues[each.key].arn]
  })
}

resource "aws_sqs_queue_policy" "queues" {
  for_each = local.model.queue_policies

  queue_url = aws_sqs_queue.queues[each.key].id
  policy    = jsonencode(each.value)
}

resource "aws_sqs_queue_policy" "dead" {
  for_each = local.model.tls_policies.dead_queues

  queue_url = aws_sqs_queue.dead[each.key].id
  policy    = jsonencode(each.value)
}

resource "aws_lambda_event_source_mapping" "queues" {
  for_each = local.model.queues

  event_source_arn        = aws_sqs_queue.queues[each.key].arn
  function_name           = aws_lambda_function.stages[each.key].arn
  batch_size              = each.value.batch
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.tags

  # Not above the function's own: a throttled message has used up an attempt.
  scaling_config {
    maximum_concurrency = each.value.concurrency
  }

  depends_on = [aws_iam_role_policy.stages]
}
