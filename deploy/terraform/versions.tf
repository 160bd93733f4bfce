# What this configuration needs. Where there is no network, scripts/terraform.sh says how to point Terraform at a folder of plugins.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      app         = "millrace"
      environment = var.environment
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  prefix    = "${var.name}-${var.environment}"

  # The application's words, which its objects' keys begin with. Rights below name these folders and nothing else.
  sources   = "sources/*"
  published = "published/*"
}
