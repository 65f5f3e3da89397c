# By stage: the function, its log, and a role of its own with the rights of docs/aws.md and no others.

resource "aws_cloudwatch_log_group" "stages" {
  # checkov:skip=CKV_AWS_158:encrypted with a key that AWS keeps; logs hold no secrets (tests hunt for them), and a key of one's own is one more way to lose them
  # checkov:skip=CKV_AWS_338:whoever deploys it says how long: log_retention_days
  for_each = local.model.functions

  name              = local.model.names.log_groups[each.key]
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_iam_role" "stages" {
  for_each = local.model.functions

  name                 = local.model.names.roles[each.key]
  assume_role_policy   = jsonencode(local.model.trust.functions)
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "stages" {
  for_each = local.model.policies

  name   = "stage"
  role   = aws_iam_role.stages[each.key].name
  policy = jsonencode(each.value)
}

resource "aws_lambda_function" "stages" {
  # checkov:skip=CKV_AWS_116:dead letters are of the queues; tick runs again a minute later
  # checkov:skip=CKV_AWS_117:stages talk to AWS, Git hosts and API servers, by TLS: in a VPC they would need a NAT gateway, and reach more of it
  # checkov:skip=CKV_AWS_173:names only: secrets are refused here (environment in model/variables.tf)
  # checkov:skip=CKV_AWS_272:the bundle's name is its SHA-256, and who may write it may change the functions too
  for_each = local.model.functions

  function_name                  = each.value.name
  role                           = aws_iam_role.stages[each.key].arn
  architectures                  = [var.architecture]
  handler                        = each.value.handler
  memory_size                    = each.value.memory
  reserved_concurrent_executions = var.reserve_concurrency ? each.value.concurrency : -1
  runtime                        = var.runtime
  s3_bucket                      = aws_s3_object.bundle.bucket
  s3_key                         = aws_s3_object.bundle.key
  source_code_hash               = filebase64sha256(var.bundle)
  timeout                        = each.value.timeout
  tags                           = local.tags

  environment {
    variables = each.value.environment
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.stages[each.key].name
  }

  tracing_config {
    mode = "PassThrough"
  }
}
