output "url" {
  description = "What GitHub posts to."
  value       = local.url
  sensitive   = true
}
