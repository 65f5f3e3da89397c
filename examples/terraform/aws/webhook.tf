# On demand: the repository's webhook, by the GitHub provider (GITHUB_OWNER and GITHUB_TOKEN in the environment).

provider "github" {}

module "webhook" {
  count  = var.github_repository == null ? 0 : 1
  source = "../../../infra/terraform/github"

  receiver    = { name = "fleet" }
  repository  = var.github_repository
  token       = var.receiver_token
  webhook_url = module.plane.webhook_url
}
