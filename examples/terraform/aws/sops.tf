resource "aws_kms_key" "sops" {
  description         = "data keys of SOPS files in Git"
  enable_key_rotation = true
}
