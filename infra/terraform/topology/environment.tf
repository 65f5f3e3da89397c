# Environment variables whose value is a secret (wiring/settings.py). A function's configuration and Terraform's state show
# what they say to whoever may look at either, so that no module takes them.

locals {
  secret_variables = [
    "AZURE_CLIENT_SECRET$",
    "IDENTITY_HEADER$",
    "OTEL_EXPORTER_OTLP_(METRICS_|TRACES_)?HEADERS$",
    "PENSTOCK_API_TOKEN$",
    "PENSTOCK_SECRET_",
    "VAULT_TOKEN$",
  ]
}
