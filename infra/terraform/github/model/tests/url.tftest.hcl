# Runs without a provider: `terraform init && terraform test`.

run "the_receivers_path" {
  command = plan

  variables {
    receiver    = { name = "fleet", namespace = "flux-system" }
    token       = "token"
    webhook_url = "https://hooks.example.com"
  }

  assert {
    condition     = output.url == "https://hooks.example.com/hook/${sha256("tokenfleetflux-system")}"
    error_message = "the path is not that of the Receiver"
  }
}
