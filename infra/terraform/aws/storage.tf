# The bucket: artifacts below artifacts/sha256/, which tick removes when nobody names them any more, and the bundle of
# the functions below bundles/. An artifact's name is its digest and it can be made again: no versions are kept.

resource "aws_s3_bucket" "artifacts" {
  # checkov:skip=CKV_AWS_18:access logs would need a second bucket; CloudTrail's data events tell the same where an organization wants them
  # checkov:skip=CKV_AWS_21:an artifact's name is its digest and it can be made again from Git
  # checkov:skip=CKV_AWS_144:artifacts are made again from Git, in their region
  # checkov:skip=CKV_AWS_145:encrypted with keys that S3 keeps; artifacts are what Git has
  # checkov:skip=CKV2_AWS_62:nobody waits for objects: whoever writes one publishes its pointer
  bucket        = local.model.names.bucket
  force_destroy = !var.deletion_protection
  tags          = local.tags
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    id     = "uploads-that-broke-off"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  policy = jsonencode(local.model.bucket_policy)

  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}

# Through the bucket: Lambda takes 50 MB at most directly.
resource "aws_s3_object" "bundle" {
  bucket      = aws_s3_bucket.artifacts.id
  key         = "bundles/${filesha256(var.bundle)}.zip"
  source      = var.bundle
  source_hash = filesha256(var.bundle)
  tags        = local.tags

  # The older one goes when the functions have the newer.
  lifecycle {
    create_before_destroy = true
  }
}
