data "aws_caller_identity" "here" {}

data "aws_region" "here" {}

# Names, rights, sizes and environment: all that can be computed, and tested, without a provider.
module "model" {
  source = "./model"

  account       = data.aws_caller_identity.here.account_id
  bucket        = var.bucket
  eks_clusters  = var.eks_clusters
  collector     = var.collector
  environment   = var.environment
  home_region   = var.home_region
  prefix        = var.prefix
  region        = data.aws_region.here.region
  regions       = var.regions
  secrets       = var.secrets
  secrets_store = var.secrets_store
  sizes         = var.sizes
  sops_keys     = var.sops_keys
}

locals {
  model = module.model
  tags  = merge(var.tags, { penstock = var.prefix })
}
