# A plane for one EKS cluster. From a directory of yours, source is
# "git::https://github.com/<you>/penstock//infra/terraform/aws?ref=<version>".

provider "aws" {
  region = "eu-central-1"
}

module "plane" {
  source = "../../../infra/terraform/aws"

  alarm_actions = [aws_sns_topic.operators.arn]
  budget        = { dollars = 50, emails = ["platform@example.com"] }
  bundle        = var.bundle
  eks_clusters  = [var.eks_cluster]
  prefix        = "plane-1"
  sops_keys     = [aws_kms_key.sops.arn]

  secrets = {
    api-token   = { name = "api-token", namespace = "penstock-system" }
    fleet-token = { name = "fleet-token", reader = "fetch" }
  }

  sizes = {
    reconcile = { concurrency = 40, memory = 2048 }
  }
}
