# pipeline.json as it stands, and what is sized by it. Nothing here knows a cloud.

locals {
  pipeline_file = coalesce(var.pipeline_file, "${path.module}/../../../shared/penstock/pipeline.json")
  pipeline      = jsondecode(file(local.pipeline_file))

  # Runs at once where nobody says otherwise. A schedule never overlaps itself.
  concurrency = { http = 10, schedule = 1, topic = 20 }

  # Seconds: SQS hides a message for twelve hours at most.
  longest_visibility = 43200

  stages = {
    for name, stage in local.pipeline.stages : name => {
      attempts    = stage.attempts
      concurrency = coalesce(try(var.sizes[name].concurrency, null), local.concurrency[stage.trigger])
      memory      = coalesce(try(var.sizes[name].memory, null), stage.memory)
      ordered     = try(stage.ordered, false)
      ports       = stage.ports
      publishes   = stage.publishes
      subscribes  = stage.subscribes
      timeout     = stage.timeout
      trigger     = stage.trigger
    }
  }
}
