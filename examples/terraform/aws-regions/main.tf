# A plane in two regions: the module once in each, with the same regions, bucket and prefix.

provider "aws" {
  region = local.home
}

provider "aws" {
  alias  = "virginia"
  region = "us-east-1"
}

locals {
  home    = "eu-central-1"
  prefix  = "plane-1"
  bucket  = "acme-plane-1"
  regions = ["us-east-1"]
}

module "plane" {
  source = "../../../infra/terraform/aws"

  bucket  = local.bucket
  bundle  = var.bundle
  prefix  = local.prefix
  regions = local.regions
}

module "virginia" {
  source    = "../../../infra/terraform/aws"
  providers = { aws = aws.virginia }

  bucket      = local.bucket
  bundle      = var.bundle
  home_region = local.home
  prefix      = local.prefix
  regions     = local.regions
}
