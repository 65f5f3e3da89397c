# Secrets that are kept by hand: empty ones. Values come by `aws secretsmanager put-secret-value`, so that no state
# file and no plan ever holds one. Copies that reconcile makes are its own. In Parameter Store nothing can be empty: there
# `aws ssm put-parameter --type SecureString` makes them.

resource "aws_secretsmanager_secret" "by_hand" {
  # checkov:skip=CKV_AWS_149:encrypted with a key that AWS keeps; who reads a value is up to IAM
  # checkov:skip=CKV2_AWS_57:rotated where they are made (a Git host); functions take the new value within 60 seconds
  for_each = var.secrets_store == "secrets-manager" ? local.model.names.secrets : {}

  name                    = each.value
  description             = "Kubernetes Secret ${local.model.by_hand[each.key].namespace}/${local.model.by_hand[each.key].name} of cluster ${local.model.by_hand[each.key].cluster}, for ${local.model.by_hand[each.key].reader}"
  recovery_window_in_days = var.deletion_protection ? 30 : 0
  tags                    = local.tags
}
