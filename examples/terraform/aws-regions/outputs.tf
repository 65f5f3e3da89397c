output "environment" {
  description = "For your shell, beside AWS credentials."
  value       = module.plane.environment
}

output "webhook_url" {
  description = "For the Git host: one for all regions."
  value       = module.plane.webhook_url
}
