# Runs without a provider: `terraform init && terraform test`.

variables {
  number  = "123456789012"
  prefix  = "plane-1"
  project = "acme-prod"
  region  = "europe-west3"
}

run "names" {
  command = plan

  assert {
    condition     = output.paths["europe-west3"].topics["source-changed"] == "projects/acme-prod/topics/plane-1-source-changed"
    error_message = output.paths["europe-west3"].topics["source-changed"]
  }

  assert {
    condition     = output.places["europe-west3"].bucket == "plane-1-acme-prod" && output.places["europe-west3"].databases.state == "plane-1-state"
    error_message = jsonencode(output.places)
  }

  assert {
    condition     = output.secrets["api-token"].name == "plane-1-penstock_--_penstock--system_api--token"
    error_message = output.secrets["api-token"].name
  }

  assert {
    condition     = alltrue([for name in values(output.names.accounts) : length(name) >= 6 && length(name) <= 30])
    error_message = "names of service accounts have 6 to 30 characters"
  }
}

run "least_privilege" {
  command = plan

  variables {
    gke_projects = ["acme-apps"]
    sops_keys    = { sops = "projects/p/locations/l/keyRings/r/cryptoKeys/k" }
  }

  assert {
    condition     = toset([for grant in values(output.grants) : grant.who if grant.kind == "key"]) == toset(["reconcile"])
    error_message = "reconcile alone decrypts"
  }

  assert {
    condition     = alltrue([for grant in values(output.grants) : contains(keys(output.permissions), grant.role)])
    error_message = "a role is granted whose permissions are not listed"
  }

  assert {
    condition     = alltrue([for grant in values(output.grants) : grant.condition.expression != "" if grant.kind == "project" && can(regex("record|secret_(reader|keeper)|artifact", grant.role))])
    error_message = "a right of the whole project where a condition would do"
  }

  assert {
    condition = [
      for name in sort(keys(output.grants)) : output.grants[name].who if endswith(output.grants[name].role, "artifact_writer")
    ] == ["fetch"]
    error_message = "fetch alone writes artifacts"
  }

  assert {
    condition     = alltrue([for grant in values(output.grants) : grant.kind == "function" if grant.who == "everybody"])
    error_message = "everybody may do more than call webhook and api"
  }
}

run "dead_letters_are_told_of_by_the_schedule" {
  command = plan

  assert {
    condition     = output.subscriptions["fetch-dead/tick"].filter == "NOT attributes:error" && output.subscriptions["fetch-dead/tick"].attempts == null
    error_message = "what nobody told of is pushed to tick, until it is told"
  }

  assert {
    condition     = output.subscriptions["artifact-stored/reconcile"].ack_seconds == 570 && output.subscriptions["artifact-stored/reconcile"].attempts == 40
    error_message = "a push is waited for as long as its stage runs, and comes again when no instance was free"
  }

  assert {
    condition     = output.functions["tick"].instances == 2
    error_message = "a dead letter may come while tick runs"
  }
}

run "a_long_prefix_is_refused" {
  command = plan

  variables {
    prefix = "penstock-of-the-platform"
  }

  expect_failures = [var.prefix]
}

run "a_bucket_name_that_is_too_long_is_refused" {
  command = plan

  variables {
    prefix  = "penstock-of-the-team"
    project = "acme-production-of-europe-1"
    bucket  = join("", [for number in range(64) : "b"])
  }

  expect_failures = [var.bucket]
}

run "a_database_that_webhook_reaches_is_not_that_of_most_records" {
  command = plan

  variables {
    database = "plane-1-index"
  }

  expect_failures = [output.places]
}

run "a_prefix_that_names_no_database_is_told" {
  command = plan

  variables {
    database = "d"
  }

  expect_failures = [var.database]
}

run "a_number_is_not_an_id" {
  command = plan

  variables {
    number = "acme-prod"
  }

  expect_failures = [var.number]
}

run "a_zone_is_no_region" {
  command = plan

  variables {
    region = "europe-west3-a"
  }

  expect_failures = [var.region]
}

run "a_version_is_no_key" {
  command = plan

  variables {
    sops_keys = { sops = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1" }
  }

  expect_failures = [var.sops_keys]
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

run "a_name_that_is_cloud_runs_is_refused" {
  command = plan

  variables {
    environment = { notify = { K_SERVICE = "canary" } }
  }

  expect_failures = [var.environment]
}

run "the_port_is_cloud_runs" {
  command = plan

  variables {
    environment = { notify = { PORT = "canary" } }
  }

  expect_failures = [var.environment]
}

run "a_name_that_is_no_name_is_refused" {
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

run "a_plane_in_several_regions" {
  command = plan

  variables {
    regions = { us-central1 = { sops_keys = { sops = "projects/p/locations/l/keyRings/r/cryptoKeys/k" } }, asia-northeast1 = {} }
  }

  assert {
    condition     = output.places["us-central1"].databases.state == "plane-1-state-us-central1" && output.places["us-central1"].bucket == "plane-1-acme-prod-us-central1"
    error_message = jsonencode(output.places)
  }

  assert {
    condition     = toset([for function in values(output.functions) : function.stage if function.region == "us-central1"]) == toset(["fetch", "notify", "reconcile"])
    error_message = "a further region has what topics feed"
  }

  assert {
    condition     = alltrue([for one in values(output.subscriptions) : output.functions[one.function].region == "europe-west3" if one.of_dead])
    error_message = "what nobody told of is pushed to tick, which is at home"
  }

  assert {
    condition     = alltrue([for grant in values(output.grants) : !strcontains(jsonencode(grant), "asia-northeast1") if endswith(grant.who, "@us-central1")])
    error_message = "a region reaches another one that is not home"
  }

  assert {
    condition     = toset([for grant in values(output.grants) : grant.who if grant.kind == "key"]) == toset(["reconcile@us-central1"])
    error_message = "keys of a region are its own reconcile's"
  }
}

run "home_is_no_further_region" {
  command = plan

  variables {
    regions = { europe-west3 = {} }
  }

  expect_failures = [var.regions]
}

run "a_long_prefix_has_no_room_for_regions" {
  command = plan

  variables {
    prefix  = "penstock-of-team"
    regions = { us-central1 = {} }
  }

  expect_failures = [output.names]
}
