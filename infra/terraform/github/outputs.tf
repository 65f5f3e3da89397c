output "url" {
  description = "What GitHub posts to."
  value       = module.model.url
  sensitive   = true
}
