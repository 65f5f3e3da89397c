output "agents" {
  description = "E-mails of Google's own accounts."
  value       = local.agents
}

output "dashboard" {
  description = "The dashboard, as Cloud Monitoring's API takes it."
  value       = local.dashboard
}

output "emails" {
  description = "By stage, and of build, push and tasks: e-mail of its service account."
  value       = local.emails
}

output "functions" {
  description = "By stage: name, account, environment when it is built and when it runs, ingress, memory, seconds, instances, trigger."
  value       = local.functions

  precondition {
    condition     = length(setsubtract(keys(var.environment), keys(module.topology.stages))) == 0
    error_message = "environment names stages that pipeline.json does not have: ${join(", ", setsubtract(keys(var.environment), keys(module.topology.stages)))}."
  }
}

output "grants" {
  description = "Every right that anybody has: who (a stage; build, push, tasks; pubsub, Google's agent; everybody), role, kind of resource and its name, condition (an expression of \"\" is none)."
  value       = local.grants
}

output "names" {
  description = "Names of everything."
  value       = local.names

  precondition {
    condition     = length(local.names.bucket) <= 63
    error_message = "prefix and project make a name of a bucket that is longer than 63 characters: give the bucket a name."
  }

  precondition {
    condition     = length(local.names.database) >= 4
    error_message = "prefix makes no id of a database: give the database one."
  }
}

output "paths" {
  description = "Resource names, as the adapters and IAM's conditions write them."
  value       = local.paths
}

output "permissions" {
  description = "By role that grants name: its permissions; of Google's own roles, those that matter here."
  value       = merge({ for role, made in local.roles : local._role[role] => made.permissions }, local.predefined)
}

output "roles" {
  description = "Roles that this module makes: id, title, permissions."
  value       = local.roles
}

output "subscriptions" {
  description = "By \"<topic>/<stage>\": what is pushed to whom (topic: of pipeline.json, or where of_dead the stage that gave up), seconds until it is pushed again, attempts, backoff, filter."
  value       = local.subscriptions

  precondition {
    condition     = alltrue([for one in local.subscriptions : one.attempts == null ? true : one.attempts >= 5 && one.attempts <= 100])
    error_message = "Pub/Sub gives up after 5 to 100 attempts: pipeline.json has a stage with others."
  }

  precondition {
    condition     = alltrue([for stage in values(module.topology.queues) : stage.timeout < local._longest_push])
    error_message = "Pub/Sub waits 600 s for an answer at most: pipeline.json has a stage with a longer timeout."
  }
}
