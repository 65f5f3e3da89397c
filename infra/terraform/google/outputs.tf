output "accounts" {
  description = "By stage (of a further region: <stage>@<region>): e-mail of its service account; reconcile's is whom the RBAC of a GKE cluster in its region names."
  value       = { for who, account in google_service_account.accounts : who => account.email }
}

output "api_url" {
  description = "Where `penstock` commands find the plane (PENSTOCK_URL)."
  value       = google_cloudfunctions2_function.stages["api"].service_config[0].uri

  depends_on = [google_cloud_run_v2_service_iam_member.grants]
}

output "bucket" {
  description = "Name of the bucket of artifacts; of a plane in several regions, of the home region's."
  value       = google_storage_bucket.artifacts[var.region].name
}

output "dead_letters" {
  description = "By stage (of a further region: <stage>@<region>): the subscription of what it gave up."
  value       = { for stage, subscription in google_pubsub_subscription.dead : stage => subscription.name }
}

output "environment" {
  description = "What a shell needs for `penstock plane apply` and `penstock get` on this plane, beside application default credentials."
  value = merge({
    GOOGLE_CLOUD_PROJECT          = var.project
    PENSTOCK_BACKEND              = "google"
    PENSTOCK_GOOGLE_BUCKET        = google_storage_bucket.artifacts[var.region].name
    PENSTOCK_GOOGLE_DATABASE      = google_firestore_database.state[var.region].name
    PENSTOCK_GOOGLE_PREFIX        = var.prefix
    PENSTOCK_GOOGLE_REGION        = var.region
    PENSTOCK_GOOGLE_TASKS_ACCOUNT = google_service_account.accounts["tasks"].email
  }, length(var.regions) == 0 ? {} : { PENSTOCK_GOOGLE_REGIONS = join(",", sort(keys(var.regions))) })
}

output "secrets" {
  description = "By the names given (of a further region: <name>@<region>): id in Secret Manager of each secret that is kept by hand."
  value       = { for key, secret in google_secret_manager_secret.by_hand : key => secret.secret_id }
}

output "webhook_url" {
  description = "What a Git host posts to, followed by a Receiver's path (/hook/…)."
  value       = google_cloudfunctions2_function.stages["webhook"].service_config[0].uri

  depends_on = [google_cloud_run_v2_service_iam_member.grants]
}
