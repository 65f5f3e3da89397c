# Records (adapters/state/firestore.py), three databases a region, since rights end at a database: what webhook writes, what it
# reads, and all else (adapters/state/parted.py). One collection each, and no index of what is never asked for.

resource "google_firestore_database" "state" {
  for_each = local.model.databases

  project                           = var.project
  name                              = each.value.name
  location_id                       = each.value.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
}

resource "google_firestore_index" "due" {
  for_each = local.model.places # nothing else is ever due

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
    for key in keys(local.model.databases) : { for field in ["f", "j", "w"] : "${field}@${key}" => { field = field, database = key } }
  ]...)
}

# Without it each of them is indexed twice, and a value above 1,500 bytes is cut for it.
resource "google_firestore_field" "unindexed" {
  for_each = local.unindexed

  project    = var.project
  database   = google_firestore_database.state[each.value.database].name
  collection = "records"
  field      = each.value.field

  index_config {}
}
