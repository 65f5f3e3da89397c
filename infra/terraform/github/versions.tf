terraform {
  required_version = ">= 1.9.0"

  required_providers {
    github = {
      source = "integrations/github"
      # The version whose schema this module is checked by (tests/infra/provider.py).
      version = ">= 6.13, < 7.0"
    }
  }
}
