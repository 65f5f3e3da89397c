# Secrets that are kept by hand: empty ones. Values come by `gcloud secrets versions add`, so that no state file and no
# plan ever holds one. Copies that reconcile makes are its own.

resource "google_secret_manager_secret" "by_hand" {
  for_each = local._model.names.secrets

  project             = var.project
  secret_id           = each.value
  deletion_protection = var.deletion_protection
  labels              = local._labels

  replication {
    auto {}
  }
}
