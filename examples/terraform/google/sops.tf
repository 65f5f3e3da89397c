# Files in Git are encrypted with it; reconcile alone may decrypt (sops_keys in main.tf).

resource "google_kms_key_ring" "sops" {
  project  = var.project
  location = local.region
  name     = "plane-1"

  depends_on = [google_project_service.services]
}

resource "google_kms_crypto_key" "sops" {
  key_ring        = google_kms_key_ring.sops.id
  name            = "sops"
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s"

  # What is encrypted with it is in Git for ever.
  lifecycle {
    prevent_destroy = true
  }
}
