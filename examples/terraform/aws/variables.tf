variable "bundle" {
  description = "Path of the functions' zip."
  type        = string
}

variable "eks_cluster" {
  description = "ARN of the EKS cluster."
  type        = string
}
