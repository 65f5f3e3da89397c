output "agents" {
  description = "E-mails of Google's own accounts."
  value       = local.agents
}

output "dashboards" {
  description = "By region: its dashboard, as Cloud Monitoring's API takes it."
  value       = local.dashboards
}

output "databases" {
  description = "By region, that of most records, and by <part>@<region> those of what webhook has to do with (hooks: deliveries; index: Receivers, documents, the Plane): id, part and region."
  value       = local.databases
}

output "dead_topics" {
  description = "By stage (of a further region: <stage>@<region>): name and region of the topic, and of its subscription, of what it gives up."
  value       = local.dead_topics
}

output "emails" {
  description = "By stage, and of build, push and tasks (of a further region: <who>@<region>): e-mail of its service account."
  value       = local.emails
}

output "functions" {
  description = "By stage (of a further region: <stage>@<region>): name, region, environment when it is built and when it runs, ingress, memory, seconds, instances, trigger."
  value       = local.functions

  precondition {
    condition     = length(setsubtract(keys(var.environment), keys(module.topology.stages))) == 0
    error_message = "environment names stages that pipeline.json does not have: ${join(", ", setsubtract(keys(var.environment), keys(module.topology.stages)))}."
  }
}

output "grants" {
  description = "Every right that anybody has: who (a stage; build, push, tasks; pubsub, Google's agent; everybody; of a further region <who>@<region>), role, kind of resource and its name, region where names are a region's, condition (an expression of \"\" is none)."
  value       = local.grants
}

output "names" {
  description = "Names that are the same in each region, or the project's."
  value       = local.names

  precondition {
    condition     = alltrue([for name in values(local.names.accounts) : length(name) <= 30])
    error_message = "prefix ${var.prefix} is too long for a plane in several regions: at most 14 characters (names of service accounts end at 30)."
  }
}

output "paths" {
  description = "By region: resource names, as the adapters and IAM's conditions write them."
  value       = local.paths
}

output "permissions" {
  description = "By role that grants name: its permissions; of Google's own roles, those that matter here."
  value       = merge({ for role, made in local.roles : local.role[role] => made.permissions }, local.predefined)
}

output "places" {
  description = "By region: names of what is there."
  value       = local.places

  precondition {
    condition     = alltrue([for place in values(local.places) : length(place.bucket) <= 63])
    error_message = "prefix, project and regions make a name of a bucket that is longer than 63 characters: give the bucket a shorter name."
  }

  precondition {
    condition     = alltrue([for one in values(local.databases) : length(one.name) >= 4 && length(one.name) <= 63])
    error_message = "prefix and regions make no id of a database (4 to 63 characters): give the database another one."
  }

  precondition {
    condition     = length(distinct([for one in values(local.databases) : one.name])) == length(local.databases)
    error_message = "database is called as one of those that the module makes beside it (<prefix>-hooks, <prefix>-index): webhook would reach all records."
  }
}

output "roles" {
  description = "Roles that this module makes: id, title, permissions."
  value       = local.roles
}

output "secrets" {
  description = "Secrets that are kept by hand, by the names given (of a further region: <name>@<region>): id, and the region where the value is."
  value       = local.secrets
}

output "subscriptions" {
  description = "By \"<topic>/<stage>\" (of a further region: with @<region>): what is pushed to which function, as whom (topic: key of topics, or where of_dead of dead_topics), seconds until it is pushed again, attempts, backoff, filter."
  value       = local.subscriptions

  precondition {
    condition     = alltrue([for one in local.subscriptions : one.attempts == null ? true : one.attempts >= 5 && one.attempts <= 100])
    error_message = "Pub/Sub gives up after 5 to 100 deliveries: pipeline.json has a stage without attempts."
  }

  precondition {
    condition     = alltrue([for stage in values(module.topology.queues) : stage.timeout < local.longest_push])
    error_message = "Pub/Sub waits 600 s for an answer at most: pipeline.json has a stage with a longer timeout."
  }
}

output "topics" {
  description = "By topic (of a further region: <topic>@<region>): name and region."
  value       = local.topics
}
