variable "billing_account" {
  description = "Billing account of the budget, such as 012345-6789AB-CDEF01."
  type        = string
}

variable "bundle" {
  description = "Path of the functions' zip."
  type        = string
}

variable "github_repository" {
  description = "Repository whose pushes wake the plane, without its owner. Null: its webhook is made by hand."
  type        = string
  default     = null
}

variable "gke_project" {
  description = "Project of the GKE cluster."
  type        = string
}

variable "project" {
  description = "Project of the plane."
  type        = string
}

variable "receiver_token" {
  description = "Entry \"token\" of the Receiver's Secret, where github_repository is given."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.github_repository == null || var.receiver_token != null
    error_message = "receiver_token is asked for with github_repository: the webhook is signed with it."
  }
}
