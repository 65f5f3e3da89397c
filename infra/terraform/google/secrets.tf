# Secrets that are kept by hand: empty ones. Values come by `gcloud secrets versions add`, so that no state file and no
# plan ever holds one. Copies that reconcile makes are its own. A value is in its region alone, from the start: where it
# is cannot be changed later.

resource "google_secret_manager_secret" "by_hand" {
  for_each = local.model.secrets

  project             = var.project
  secret_id           = each.value.name
  deletion_protection = var.deletion_protection
  labels              = local.labels

  replication {
    user_managed {
      replicas {
        location = each.value.region
      }
    }
  }
}
