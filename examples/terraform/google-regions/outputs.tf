output "api_url" {
  description = "For your shell, as PENSTOCK_URL: where `penstock` commands find the plane."
  value       = module.plane.api_url
}

output "environment" {
  description = "For your shell, beside application default credentials."
  value       = module.plane.environment
}

output "reconcile_accounts" {
  description = "Whom the RBAC of clusters names, by their region: at home reconcile, elsewhere reconcile@<region>."
  value       = { for who, email in module.plane.accounts : who => email if startswith(who, "reconcile") }
}

output "webhook_url" {
  description = "For the Git host: one for all regions."
  value       = module.plane.webhook_url
}
