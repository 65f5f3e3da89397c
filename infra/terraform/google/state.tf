# Records (adapters/state/firestore.py): one collection, an index of what is due, and none of what is never asked for.

resource "google_firestore_database" "state" {
  project                           = var.project
  name                              = local._model.names.database
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
}

resource "google_firestore_index" "due" {
  project    = var.project
  database   = google_firestore_database.state.name
  collection = "records"

  fields {
    field_path = "due"
    order      = "ASCENDING"
  }

  fields {
    field_path = "k"
    order      = "ASCENDING"
  }
}

# Without it each of them is indexed twice, and a value above 1,500 bytes is cut for it.
resource "google_firestore_field" "unindexed" {
  for_each = toset(["f", "j", "w"])

  project    = var.project
  database   = google_firestore_database.state.name
  collection = "records"
  field      = each.key

  index_config {}
}
