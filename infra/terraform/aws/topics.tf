resource "aws_sns_topic" "topics" {
  for_each = local.model.names.topics

  name              = each.value
  fifo_topic        = endswith(each.value, ".fifo") ? true : null
  kms_master_key_id = "alias/aws/sns"
  tags              = local.tags
}

resource "aws_sns_topic_policy" "topics" {
  for_each = local.model.tls_policies.topics

  arn    = aws_sns_topic.topics[each.key].arn
  policy = jsonencode(each.value)
}

# Raw: the queue holds the CloudEvent and nothing around it.
resource "aws_sns_topic_subscription" "subscriptions" {
  for_each = local.model.subscriptions

  topic_arn            = aws_sns_topic.topics[each.value.topic].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.queues[each.value.stage].arn
  raw_message_delivery = true

  depends_on = [aws_sqs_queue_policy.queues]
}
