# Runs without a provider: `terraform init && terraform test`.

variables {
  account = "123456789012"
  prefix  = "plane-1"
  region  = "eu-central-1"
}

run "names" {
  command = plan

  assert {
    condition     = output.arns.topics["source-changed"] == "arn:aws:sns:eu-central-1:123456789012:plane-1-source-changed"
    error_message = output.arns.topics["source-changed"]
  }

  assert {
    condition     = output.names.bucket == "plane-1-123456789012-eu-central-1" && output.names.table == "plane-1-state"
    error_message = "bucket ${output.names.bucket}, table ${output.names.table}"
  }

  assert {
    condition     = output.names.secrets["api-token"] == "plane-1/penstock_--_penstock--system_api--token"
    error_message = output.names.secrets["api-token"]
  }
}

run "least_privilege" {
  command = plan

  variables {
    eks_clusters = ["arn:aws:eks:eu-central-1:123456789012:cluster/prod"]
    sops_keys    = ["arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555"]
  }

  assert {
    condition = alltrue(flatten([
      for policy in values(output.policies) : [
        for statement in policy.Statement : [for action in statement.Action : !strcontains(action, "*")]
      ]
    ]))
    error_message = "an action is a wildcard"
  }

  assert {
    condition = alltrue(flatten([
      for policy in values(output.policies) : [
        for statement in policy.Statement : [for resource in statement.Resource : startswith(resource, "arn:aws:")]
      ]
    ]))
    error_message = "a resource is not an ARN"
  }

  assert {
    condition = [
      for stage, policy in output.policies : stage if strcontains(jsonencode(policy), "s3:PutObject")
    ] == ["fetch"]
    error_message = "fetch alone writes artifacts"
  }

  assert {
    condition     = alltrue([for word in ["s3:", "kms:", "eks:", "sqs:", "dynamodb:DeleteItem", "dynamodb:Scan"] : !strcontains(jsonencode(output.policies["webhook"]), word)])
    error_message = "webhook: ${jsonencode(output.policies["webhook"])}"
  }

  assert {
    condition     = toset([for stage, policy in output.policies : stage if strcontains(jsonencode(policy), "kms:Decrypt")]) == toset(["reconcile"])
    error_message = "reconcile alone decrypts"
  }

  assert {
    condition     = toset([for stage, policy in output.policies : stage if strcontains(jsonencode(policy), "iam:PassRole")]) == toset(["fetch", "reconcile"])
    error_message = "who puts messages off passes the scheduler's role, nobody else"
  }
}

run "a_function_runs_as_often_as_its_queue_starts_it" {
  command = plan

  variables {
    sizes = { fetch = { concurrency = 1 }, webhook = { concurrency = 1 } }
  }

  assert {
    condition     = output.functions["fetch"].concurrency == 2 && output.queues["fetch"].concurrency == 2
    error_message = "a mapping takes at least 2: a function with fewer would throttle, and use up attempts"
  }

  assert {
    condition     = output.functions["webhook"].concurrency == 1
    error_message = "what has no queue may run alone"
  }
}

run "china_and_govcloud_are_other_partitions" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }

  assert {
    condition     = startswith(output.arns.table, "arn:aws-us-gov:dynamodb:us-gov-west-1:")
    error_message = output.arns.table
  }
}

run "a_prefix_that_makes_no_bucket_is_refused" {
  command = plan

  variables {
    prefix = "Plane_1"
  }

  expect_failures = [output.names]
}

run "a_long_prefix_is_refused" {
  command = plan

  variables {
    prefix = "penstock-of-the-platform-team-in-europe"
    bucket = "acme"
  }

  expect_failures = [var.prefix]
}

run "a_secret_in_the_environment_is_refused" {
  command = plan

  variables {
    environment = { notify = { PENSTOCK_SECRET_X = "canary" } }
  }

  expect_failures = [var.environment]
}

run "a_secret_of_another_cloud_is_refused" {
  command = plan

  variables {
    environment = { notify = { AZURE_CLIENT_SECRET = "canary" } }
  }

  expect_failures = [var.environment]
}

run "a_name_that_is_lambdas_is_refused" {
  command = plan

  variables {
    environment = { notify = { LAMBDA_TASK_ROOT = "canary" } }
  }

  expect_failures = [var.environment]
}

run "a_name_that_lambda_does_not_take_is_refused" {
  command = plan

  variables {
    environment = { notify = { "A-B" = "canary" } }
  }

  expect_failures = [var.environment]
}

run "an_environment_of_an_unknown_stage_is_refused" {
  command = plan

  variables {
    environment = { notifi = { PENSTOCK_ALLOWED_HOSTS = "10.0.0.1" } }
  }

  expect_failures = [output.functions]
}

run "an_alias_is_no_key" {
  command = plan

  variables {
    sops_keys = ["arn:aws:kms:eu-central-1:123456789012:alias/sops"]
  }

  expect_failures = [var.sops_keys]
}

run "an_account_is_twelve_digits" {
  command = plan

  variables {
    account = "1234"
  }

  expect_failures = [var.account]
}
