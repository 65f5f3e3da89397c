# The bucket of each region: artifacts below artifacts/sha256/, which tick removes when nobody names them any more, and the bundle of
# the functions below bundles/. An artifact's name is its digest and it can be made again: nothing that goes is kept.

resource "google_storage_bucket" "artifacts" {
  # checkov:skip=CKV_GCP_62:access logs would need a second bucket; Cloud Audit Logs tell the same where an organization wants them
  # checkov:skip=CKV_GCP_78:an artifact's name is its digest and it can be made again from Git
  for_each = local.model.places

  project                     = var.project
  name                        = each.value.bucket
  location                    = each.key
  force_destroy               = !var.deletion_protection
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true
  labels                      = local.labels

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 1
    }
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }
}

# Its name changes with its bytes, and with that the functions are built anew; going back is applying the older file.
resource "google_storage_bucket_object" "bundle" {
  bucket = google_storage_bucket.artifacts[var.region].name
  name   = "${local.model.names.bundles}${filesha256(var.bundle)}.zip"
  source = var.bundle

  # The older one goes when the functions have the newer.
  lifecycle {
    create_before_destroy = true
  }
}
