variable "bundle" {
  description = "Path of the functions' zip."
  type        = string
}

variable "eks_cluster" {
  description = "ARN of the EKS cluster."
  type        = string
}

variable "github_repository" {
  description = "Repository whose pushes wake the plane, without its owner. Null: its webhook is made by hand."
  type        = string
  default     = null
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
