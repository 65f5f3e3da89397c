# A plane in two regions: one instance of the module, which makes what each region has.

provider "google" {
  project = var.project
  region  = "europe-west3"
}

module "plane" {
  source = "../../../infra/terraform/google"

  bucket       = "acme-plane-1"
  bundle       = var.bundle
  gke_projects = [var.gke_project]
  prefix       = "plane-1"
  project      = var.project
  region       = "europe-west3"

  # What clusters there have of their own, they have there.
  regions = {
    us-central1 = {
      gke_projects = [var.gke_project]
      secrets      = { chat = { cluster = "iowa", name = "chat", reader = "notify" } }
    }
  }
}
