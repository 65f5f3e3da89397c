variable "events" {
  description = "What GitHub tells of: those that the Receiver lists, without ping."
  type        = list(string)
  default     = ["push"]
  nullable    = false

  validation {
    condition     = length(var.events) > 0 && alltrue([for event in var.events : can(regex("^([a-z_]+|[*])$", event))])
    error_message = "events names at least one, as GitHub calls them: push, release, … or *."
  }
}

variable "receiver" {
  description = "The Receiver that takes the webhook: the same that stands in Git."
  type = object({
    name      = string
    namespace = optional(string, "flux-system")
  })
  nullable = false

  validation {
    condition     = alltrue([for part in [var.receiver.name, var.receiver.namespace] : can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", part))])
    error_message = "receiver: name and namespace are Kubernetes names."
  }
}

variable "repository" {
  description = "Name of the repository, without its owner: the provider has that."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository is the name alone, such as fleet-infra."
  }
}

variable "token" {
  description = "Entry \"token\" of the Receiver's Secret: GitHub signs with it. The provider keeps it in the state, which must be as well kept as the Secret."
  type        = string
  sensitive   = true
  nullable    = false

  validation {
    condition     = length(var.token) >= 16
    error_message = "token is at least 16 characters: whoever guesses it can wake the plane."
  }
}

variable "webhook_url" {
  description = "The plane's output webhook_url."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.webhook_url, "https://") && !endswith(var.webhook_url, "/")
    error_message = "webhook_url is an https URL without a path, as the plane's output has it."
  }
}
