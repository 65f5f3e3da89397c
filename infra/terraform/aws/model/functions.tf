# What each function is told (wiring/settings.py), and which file of the bundle it starts with.

locals {
  functions = {
    for name, stage in module.topology.stages : name => {
      # Not below what its queue's mapping may start at once, which is at least 2.
      concurrency = max(stage.concurrency, try(module.topology.queues[name].concurrency, 1))
      environment = merge(
        {
          PENSTOCK_AWS_ACCOUNT = var.account
          PENSTOCK_AWS_BUCKET  = local.home_bucket
          PENSTOCK_AWS_PREFIX  = var.prefix
          PENSTOCK_BACKEND     = "aws"
        },
        length(var.regions) > 0 ? { PENSTOCK_AWS_HOME_REGION = local.home, PENSTOCK_AWS_REGIONS = join(",", sort(var.regions)) } : {},
        var.secrets_store != "secrets-manager" ? { PENSTOCK_AWS_SECRETS = var.secrets_store } : {},
        length(module.topology.rights[name].delays) > 0 ? { PENSTOCK_AWS_SCHEDULER_ROLE = local.arns.scheduler_role } : {},
        var.collector == null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = var.collector.endpoint },
        local.credentials ? { PENSTOCK_OTLP_HEADERS_SECRET = local.otlp_headers.name } : {},
        lookup(var.environment, name, {}),
      )
      handler = "functions/${name}/lambda_handler.handler"
      memory  = stage.memory
      name    = local.names.functions[name]
      timeout = stage.timeout
      trigger = stage.trigger
    } if local.is_home || stage.trigger == "topic"
  }
}
