# Records (adapters/state/firestore.py), a database a region: one collection, an index of what is due, and none of what is never asked for.

resource "google_firestore_database" "state" {
  for_each = local.model.places

  project                           = var.project
  name                              = each.value.database
  location_id                       = each.key
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
}

resource "google_firestore_index" "due" {
  for_each = local.model.places

  project    = var.project
  database   = google_firestore_database.state[each.key].name
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

locals {
  unindexed = merge([
    for region in keys(local.model.places) : { for field in ["f", "j", "w"] : "${field}@${region}" => { field = field, region = region } }
  ]...)
}

# Without it each of them is indexed twice, and a value above 1,500 bytes is cut for it.
resource "google_firestore_field" "unindexed" {
  for_each = local.unindexed

  project    = var.project
  database   = google_firestore_database.state[each.value.region].name
  collection = "records"
  field      = each.value.field

  index_config {}
}
