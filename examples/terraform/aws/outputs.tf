output "api_url" {
  description = "For your shell, as PENSTOCK_URL: where `penstock` commands find the plane."
  value       = module.plane.api_url
}

output "environment" {
  description = "For your shell, beside AWS credentials."
  value       = module.plane.environment
}

output "secrets" {
  description = "Secrets that wait for a value."
  value       = module.plane.secrets
}

output "webhook_url" {
  description = "For the Git host."
  value       = module.plane.webhook_url
}
