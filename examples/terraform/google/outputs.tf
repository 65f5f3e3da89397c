output "api_url" {
  description = "For your shell, as PENSTOCK_URL: where `penstock` commands find the plane."
  value       = module.plane.api_url
}

output "environment" {
  description = "For your shell, beside application default credentials."
  value       = module.plane.environment
}

output "reconcile_account" {
  description = "Whom the cluster's RBAC names."
  value       = module.plane.accounts["reconcile"]
}

output "secrets" {
  description = "Secrets that wait for a value."
  value       = module.plane.secrets
}

output "webhook_url" {
  description = "For the Git host."
  value       = module.plane.webhook_url
}
