# Every right of the model, by the kind of resource that it is on. No member has others.

locals {
  members = merge(
    { for who, account in google_service_account.accounts : who => account.member },
    { for who, email in local.model.agents : who => "serviceAccount:${email}" },
    { everybody = "allUsers" },
  )

  grants = {
    for kind in ["account", "bucket", "function", "key", "project", "queue", "repository", "subscription", "topic"] :
    kind => { for name, grant in local.model.grants : name => grant if grant.kind == kind }
  }
}

resource "google_project_iam_custom_role" "roles" {
  for_each = local.model.roles

  project     = var.project
  role_id     = each.value.id
  title       = each.value.title
  permissions = each.value.permissions
}

resource "google_project_iam_member" "grants" {
  for_each = local.grants.project

  project = each.value.resource
  role    = each.value.role
  member  = local.members[each.value.who]

  dynamic "condition" {
    for_each = each.value.condition.expression == "" ? [] : [each.value.condition]

    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }

  depends_on = [google_project_iam_custom_role.roles]
}

resource "google_storage_bucket_iam_member" "grants" {
  for_each = local.grants.bucket

  bucket = each.value.resource
  role   = each.value.role
  member = local.members[each.value.who]

  dynamic "condition" {
    for_each = each.value.condition.expression == "" ? [] : [each.value.condition]

    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }

  depends_on = [google_project_iam_custom_role.roles, google_storage_bucket.artifacts]
}

resource "google_pubsub_topic_iam_member" "grants" {
  for_each = local.grants.topic

  project = var.project
  topic   = each.value.resource
  role    = each.value.role
  member  = local.members[each.value.who]

  depends_on = [google_pubsub_topic.dead, google_pubsub_topic.topics]
}

resource "google_pubsub_subscription_iam_member" "grants" {
  for_each = local.grants.subscription

  project      = var.project
  subscription = each.value.resource
  role         = each.value.role
  member       = local.members[each.value.who]

  depends_on = [google_pubsub_subscription.pushes]
}

resource "google_cloud_tasks_queue_iam_member" "grants" {
  for_each = local.grants.queue

  project  = var.project
  location = each.value.region
  name     = google_cloud_tasks_queue.delay[each.value.region].name
  role     = each.value.role
  member   = local.members[each.value.who]

  depends_on = [google_project_iam_custom_role.roles]
}

resource "google_service_account_iam_member" "grants" {
  for_each = local.grants.account

  service_account_id = "projects/${var.project}/serviceAccounts/${each.value.resource}"
  role               = each.value.role
  member             = local.members[each.value.who]

  depends_on = [google_project_iam_custom_role.roles, google_service_account.accounts]
}

resource "google_cloud_run_v2_service_iam_member" "grants" {
  for_each = local.grants.function

  project  = var.project
  location = each.value.region
  name     = each.value.resource
  role     = each.value.role
  member   = local.members[each.value.who]

  depends_on = [google_cloudfunctions2_function.stages]
}

resource "google_artifact_registry_repository_iam_member" "grants" {
  for_each = local.grants.repository

  project    = var.project
  location   = each.value.region
  repository = google_artifact_registry_repository.images[each.value.region].name
  role       = each.value.role
  member     = local.members[each.value.who]
}

resource "google_kms_crypto_key_iam_member" "grants" {
  for_each = local.grants.key

  crypto_key_id = each.value.resource
  role          = each.value.role
  member        = local.members[each.value.who]
}
