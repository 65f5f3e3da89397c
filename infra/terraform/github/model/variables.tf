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
