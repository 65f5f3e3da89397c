terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.29 is the first that can say that a function may be called through its URL alone.
      version = ">= 6.29, < 7.0"
    }
  }
}
