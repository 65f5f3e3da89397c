# Files in Git are encrypted with it; reconcile alone may decrypt (sops_keys in main.tf).

resource "aws_kms_key" "sops" {
  description         = "data keys of SOPS files in Git"
  enable_key_rotation = true

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.administrators]
  })
}

locals {
  # The account itself, so that IAM policies decide.
  administrators = {
    Effect    = "Allow"
    Action    = "kms:*"
    Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.here.account_id}:root" }
    Resource  = "*"
  }
}
