terraform {
  required_version = ">= 1.9.0"

  required_providers {
    google = {
      source = "hashicorp/google"
      # The version whose schema this module is checked by (tests/infra/provider.py).
      version = ">= 8.7, < 9.0"
    }
  }
}
