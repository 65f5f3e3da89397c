terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # The version whose schema this module is checked by (tests/infra/provider.py).
      version = ">= 6.66, < 7.0"
    }
  }
}
