variable "receiver" {
  description = "See the module around this one."
  type        = object({ name = string, namespace = string })
  nullable    = false
}

variable "token" {
  description = "See the module around this one."
  type        = string
  sensitive   = true
  nullable    = false
}

variable "webhook_url" {
  description = "See the module around this one."
  type        = string
  nullable    = false
}

output "url" {
  description = "As core/flux/receiver.py has it, and Flux: the SHA-256 of token, name and namespace, one after the other."
  value       = "${var.webhook_url}/hook/${sha256("${var.token}${var.receiver.name}${var.receiver.namespace}")}"
  sensitive   = true
}
