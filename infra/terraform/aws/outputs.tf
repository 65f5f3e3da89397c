output "api_url" {
  description = "Where `penstock` commands find the plane (PENSTOCK_URL); null in a further region."
  value       = one([for stage, url in aws_lambda_function_url.http : trimsuffix(url.function_url, "/") if stage == "api"])

  depends_on = [aws_iam_role_policy.stages, aws_lambda_permission.through_url, aws_lambda_permission.url]
}

output "bucket" {
  description = "Name of the bucket of artifacts."
  value       = aws_s3_bucket.artifacts.id
}

output "dead_letter_queues" {
  description = "By stage: URL of the queue of what it gave up."
  value       = { for stage, queue in aws_sqs_queue.dead : stage => queue.url }
}

output "environment" {
  description = "What a shell needs for `penstock plane apply` and `penstock get` on this plane, beside AWS credentials."
  value = merge(
    {
      AWS_REGION           = data.aws_region.here.region
      PENSTOCK_AWS_ACCOUNT = data.aws_caller_identity.here.account_id
      PENSTOCK_AWS_BUCKET  = aws_s3_bucket.artifacts.id
      PENSTOCK_AWS_PREFIX  = var.prefix
      PENSTOCK_BACKEND     = "aws"
    },
    var.secrets_store == "secrets-manager" ? {} : { PENSTOCK_AWS_SECRETS = var.secrets_store },
    length(var.regions) == 0 ? {} : { PENSTOCK_AWS_REGIONS = join(",", sort(var.regions)) },
  )
}

output "roles" {
  description = "By stage: ARN of its role; reconcile's is what an EKS access entry names."
  value       = { for stage, role in aws_iam_role.stages : stage => role.arn }
}

output "secrets" {
  description = "By the names given: name in Secrets Manager of each secret that is kept by hand."
  value       = { for key, secret in aws_secretsmanager_secret.by_hand : key => secret.name }
}

output "webhook_url" {
  description = "What a Git host posts to, followed by a Receiver's path (/hook/…); null in a further region."
  value       = one([for stage, url in aws_lambda_function_url.http : trimsuffix(url.function_url, "/") if stage == "webhook"])

  depends_on = [aws_iam_role_policy.stages, aws_lambda_permission.through_url, aws_lambda_permission.url]
}
