# Runs without a provider: `terraform init && terraform test`.

run "the_release" {
  command = plan

  assert {
    condition     = output.topics == toset(["artifact-stored", "event", "reconcile-due", "source-changed"])
    error_message = "topics: ${jsonencode(output.topics)}"
  }

  assert {
    condition     = output.queues["reconcile"].visibility == 3240 && output.queues["notify"].visibility == 360
    error_message = "a taken message is hidden for six times its stage's timeout"
  }

  assert {
    condition     = alltrue([for queue in values(output.queues) : queue.batch == 1])
    error_message = "a run takes one message: others would wait in its batch"
  }

  assert {
    condition     = toset(keys(output.subscriptions)) == toset(["artifact-stored/reconcile", "event/notify", "reconcile-due/reconcile", "source-changed/fetch"])
    error_message = "subscriptions: ${jsonencode(output.subscriptions)}"
  }

  assert {
    condition     = alltrue([for name, right in output.rights : contains(right.verbs.secrets, "write") == (name == "reconcile")])
    error_message = "reconcile alone makes secrets"
  }

  assert {
    condition     = [for name in sort(keys(output.rights)) : name if contains(output.rights[name].verbs.secrets, "read")] == ["reconcile"] && output.secret_readers == tolist(["fetch", "notify", "webhook"])
    error_message = "reconcile alone reads secrets of others"
  }

  assert {
    condition     = alltrue([for name, right in output.rights : contains(right.verbs.storage, "write") == (name == "fetch")])
    error_message = "fetch alone writes artifacts"
  }

  assert {
    condition     = jsonencode(output.rights["webhook"].verbs) == jsonencode({ clusters = [], keys = [], secrets = ["read-mine"], state = ["read-hooks", "write-deliveries"], storage = [] })
    error_message = "webhook: ${jsonencode(output.rights["webhook"].verbs)}"
  }

  assert {
    condition     = jsonencode({ for stage, right in output.rights : stage => [right.delays, right.delays_to] if length(right.delays) > 0 }) == jsonencode({ fetch = [["source-changed"], ["fetch"]], reconcile = [["reconcile-due"], ["reconcile"]] })
    error_message = "delays: ${jsonencode({ for stage, right in output.rights : stage => [right.delays, right.delays_to] })}"
  }
}

run "sizes_win" {
  command = plan

  variables {
    sizes = { reconcile = { concurrency = 50, memory = 2048 }, fetch = { memory = 512 } }
  }

  assert {
    condition     = output.stages["reconcile"].memory == 2048 && output.queues["reconcile"].concurrency == 50
    error_message = "sizes of reconcile are not taken"
  }

  assert {
    condition     = output.stages["fetch"].memory == 512 && output.stages["fetch"].concurrency == 20
    error_message = "what sizes leaves out stays"
  }
}

run "long_timeouts_are_capped" {
  command = plan

  variables {
    pipeline_file = "./tests/long.json"
  }

  assert {
    condition     = output.queues["fetch"].visibility == 43200
    error_message = "SQS hides a message for twelve hours at most"
  }
}

run "an_unknown_stage_is_refused" {
  command = plan

  variables {
    sizes = { fetsch = { memory = 512 } }
  }

  expect_failures = [output.stages]
}

run "a_size_out_of_bounds_is_refused" {
  command = plan

  variables {
    sizes = { fetch = { memory = 64 } }
  }

  expect_failures = [var.sizes]
}

run "a_fraction_of_a_run_is_refused" {
  command = plan

  variables {
    sizes = { fetch = { concurrency = 1.5 } }
  }

  expect_failures = [var.sizes]
}

run "a_missing_file_is_refused" {
  command = plan

  variables {
    pipeline_file = "./tests/none.json"
  }

  expect_failures = [var.pipeline_file]
}

run "a_port_without_verbs_is_refused" {
  command = plan

  variables {
    pipeline_file = "./tests/unknown-right.json"
  }

  expect_failures = [output.rights]
}

run "a_topic_without_subscribers_is_refused" {
  command = plan

  variables {
    pipeline_file = "./tests/unheard.json"
  }

  expect_failures = [output.stages]
}

run "an_ordered_stage_takes_one_by_one_and_nothing_to_it_is_put_off" {
  command = plan

  variables {
    pipeline_file = "./tests/ordered.json"
  }

  assert {
    condition     = output.ordered_topics == toset(["source-changed"])
    error_message = "ordered topics: ${jsonencode(output.ordered_topics)}"
  }

  assert {
    condition     = output.queues["automate"].ordered && output.queues["automate"].batch == 1 && !output.queues["notify"].ordered
    error_message = "queues: ${jsonencode(output.queues)}"
  }

  assert {
    condition     = length(output.rights["automate"].delays) == 0 && length(output.rights["automate"].delays_to) == 0
    error_message = "delays: ${jsonencode(output.rights["automate"])}"
  }
}

run "a_topic_is_ordered_for_all_who_hear_it" {
  command = plan

  variables {
    pipeline_file = "./tests/mixed.json"
  }

  expect_failures = [output.stages]
}
