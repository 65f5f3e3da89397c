# Whom alarms reach. CloudWatch cannot publish to a topic that is encrypted with AWS's own key, hence a key of ours.

resource "aws_sns_topic" "operators" {
  name              = "plane-1-operators"
  kms_master_key_id = aws_kms_key.operators.arn
}

resource "aws_sns_topic_subscription" "operators" {
  topic_arn = aws_sns_topic.operators.arn
  protocol  = "email"
  endpoint  = "platform@example.com"
}

resource "aws_kms_key" "operators" {
  description         = "messages to operators"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.administrators,
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Resource  = "*"
      },
    ]
  })
}

data "aws_caller_identity" "here" {}
