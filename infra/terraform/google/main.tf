data "google_project" "here" {
  project_id = var.project
}

# Names, rights, sizes and environment: all that can be computed, and tested, without a provider.
module "model" {
  source = "./model"

  bucket       = var.bucket
  database     = var.database
  collector    = var.collector
  environment  = var.environment
  gke_projects = var.gke_projects
  number       = data.google_project.here.number
  prefix       = var.prefix
  project      = var.project
  region       = var.region
  regions      = var.regions
  secrets      = var.secrets
  sizes        = var.sizes
  sops_keys    = var.sops_keys
}

locals {
  model  = module.model
  labels = merge(var.labels, { penstock = var.prefix })
}
