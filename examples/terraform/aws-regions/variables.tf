variable "bundle" {
  description = "Path of the functions' zip."
  type        = string
}
