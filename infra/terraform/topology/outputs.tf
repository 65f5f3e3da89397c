output "ordered_topics" {
  description = "Topics whose messages of one key come one after the other."
  value       = local.ordered_topics
}

output "queues" {
  description = "By stage that topics feed: attempts before a dead letter, messages a run, runs at once, whether in order, seconds of a run, topics, seconds for which a taken message is hidden."
  value       = local.queues
}

output "rights" {
  description = "By stage: verbs on each port, topics it publishes to, topics it puts messages off on and the stages behind them, whether it consumes a queue, what it does in other regions, whose dead letters it looks through."
  value       = local.rights

  precondition {
    condition     = length(local.missing_verbs) == 0
    error_message = "pipeline.json gives ports that topology/rights.tf has no verbs for: ${join(", ", local.missing_verbs)}. Add what the stage does with them."
  }
}

output "secret_readers" {
  description = "Stages whose names those of secrets start with: copies that reconcile makes for them."
  value       = local.secret_readers
}

output "secret_variables" {
  description = "Environment variables whose value is a secret: a regular expression that finds their names."
  value       = "^(${join("|", local.secret_variables)})"
}

output "stages" {
  description = "By stage: pipeline.json with sizes."
  value       = local.stages

  precondition {
    condition     = local.pipeline.format == 1
    error_message = "pipeline.json has format ${local.pipeline.format}; this module reads 1."
  }

  precondition {
    condition     = length(setsubtract(keys(var.sizes), keys(local.stages))) == 0
    error_message = "sizes names stages that pipeline.json does not have: ${join(", ", setsubtract(keys(var.sizes), keys(local.stages)))}."
  }

  precondition {
    condition     = alltrue([for queue in values(local.queues) : length(queue.topics) > 0])
    error_message = "a stage with trigger \"topic\" subscribes to nothing."
  }

  precondition {
    condition     = alltrue([for queue in values(local.queues) : queue.ordered || length(setintersection(queue.topics, local.ordered_topics)) == 0])
    error_message = "a topic of an ordered stage is heard by one that is not: give one of them a topic of its own."
  }

  precondition {
    condition     = alltrue([for stage in values(local.stages) : stage.trigger == "topic" || !stage.ordered])
    error_message = "only stages that topics feed can be ordered."
  }

  precondition {
    condition     = alltrue([for topic, stages in local.subscribers : length(stages) > 0])
    error_message = "nobody subscribes to: ${join(", ", [for topic, stages in local.subscribers : topic if length(stages) == 0])}."
  }
}

output "subscribers" {
  description = "By topic: the stages that get each of its messages."
  value       = local.subscribers
}

output "subscriptions" {
  description = "One for each topic and stage, by \"<topic>/<stage>\"."
  value       = local.subscriptions
}

output "topics" {
  description = "All topics."
  value       = local.topics
}
