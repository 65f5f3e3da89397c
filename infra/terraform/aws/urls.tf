# Function URLs of the stages that are called by HTTP. Both are open and verify by themselves, before they parse: webhook
# the signature of the sender (HMAC), api its bearer token.

locals {
  http = { for stage, function in local.model.functions : stage => function if function.trigger == "http" }
}

resource "aws_lambda_function_url" "http" {
  # checkov:skip=CKV_AWS_258:Git hosts have no identity of AWS: the functions verify before they parse
  for_each = local.http

  function_name      = aws_lambda_function.stages[each.key].function_name
  authorization_type = "NONE"
}

# Since October 2025 a URL needs both.
resource "aws_lambda_permission" "url" {
  # checkov:skip=CKV_AWS_301:open as its URL is, and the function verifies (see there)
  for_each = local.http

  statement_id           = "Url"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.stages[each.key].function_name
  function_url_auth_type = aws_lambda_function_url.http[each.key].authorization_type
  principal              = "*"
}

resource "aws_lambda_permission" "through_url" {
  # checkov:skip=CKV_AWS_301:called through its URL alone, which verifies (see there)
  for_each = local.http

  statement_id             = "ThroughUrl"
  action                   = "lambda:InvokeFunction"
  function_name            = aws_lambda_function.stages[each.key].function_name
  invoked_via_function_url = true
  principal                = "*"
}
