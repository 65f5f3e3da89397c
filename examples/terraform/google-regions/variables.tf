variable "bundle" {
  description = "Path of the functions' zip."
  type        = string
}

variable "gke_project" {
  description = "Project of the GKE clusters."
  type        = string
}

variable "project" {
  description = "Project of the plane; the APIs of services.tf in the example google are on there."
  type        = string
}
