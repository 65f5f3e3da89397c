# A repository's webhook, for a Receiver that stands in Git (docs/webhooks.md).

module "model" {
  source = "./model"

  receiver    = var.receiver
  token       = var.token
  webhook_url = var.webhook_url
}

resource "github_repository_webhook" "receiver" {
  repository = var.repository
  active     = true
  events     = var.events

  configuration {
    url          = module.model.url
    content_type = "json"
    insecure_ssl = false
    secret       = var.token
  }
}
