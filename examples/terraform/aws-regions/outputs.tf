output "api_url" {
  description = "For your shell, as PENSTOCK_URL: where `penstock` commands find the plane."
  value       = module.plane.api_url
}

output "environment" {
  description = "For your shell, beside AWS credentials."
  value       = module.plane.environment
}

output "reconcile_roles" {
  description = "By region: whom access entries of EKS clusters there name."
  value       = { (local.home) = module.plane.roles["reconcile"], us-east-1 = module.virginia.roles["reconcile"] }
}

output "webhook_url" {
  description = "For the Git host: one for all regions."
  value       = module.plane.webhook_url
}
