# A plane for a GKE cluster. From a directory of yours, source is
# "git::https://github.com/<you>/penstock//infra/terraform/google?ref=<version>".

locals {
  region = "europe-west3"
}

# The budget's API counts calls to the project that asks.
provider "google" {
  project               = var.project
  region                = local.region
  billing_project       = var.project
  user_project_override = true
}

module "plane" {
  source = "../../../infra/terraform/google"

  alarm_channels = [google_monitoring_notification_channel.operators.id]
  budget         = { amount = 50, billing_account = var.billing_account }
  bundle         = var.bundle
  gke_projects   = [var.gke_project]
  prefix         = "plane-1"
  project        = var.project
  region         = local.region
  sops_keys      = { sops = google_kms_crypto_key.sops.id }

  secrets = {
    api-token   = { name = "api-token", namespace = "penstock-system" }
    fleet-token = { name = "fleet-token", reader = "fetch" }
  }

  sizes = {
    reconcile = { concurrency = 40, memory = 2048 }
  }

  depends_on = [google_project_service.services]
}
