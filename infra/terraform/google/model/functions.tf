# What each function is told (wiring/settings.py), who may call it, and which file of the bundle it starts with.

locals {
  functions = merge([
    for region in local.everywhere : {
      for name in local.stages[region] : "${name}${local.at[region]}" => local.functions_by_region[region][name]
    }
  ]...)

  functions_by_region = { for region in local.everywhere : region => {
    for name, stage in module.topology.stages : name => {
      # One request at a time in each instance, so that runs at once are instances. A scheduled one has a second: Pub/Sub
      # may push it a dead letter while it runs.
      instances = stage.trigger == "schedule" ? stage.concurrency + 1 : stage.concurrency
      build = {
        GOOGLE_FUNCTION_SOURCE = "functions/${name}/main.py"
        SOURCE_DATE_EPOCH      = "315532800" # the bundle's own time, 1980: bytecode that is compiled in the build holds
      }
      environment = merge(
        {
          GOOGLE_CLOUD_PROJECT     = var.project
          PENSTOCK_BACKEND         = "google"
          PENSTOCK_GOOGLE_BUCKET   = local.places[var.region].bucket
          PENSTOCK_GOOGLE_DATABASE = local.places[var.region].databases.state
          PENSTOCK_GOOGLE_PREFIX   = var.prefix
          PENSTOCK_GOOGLE_REGION   = region
          # The bundle's root holds the package; functions-framework puts only the folder of its source on the path.
          PYTHONPATH = "/workspace"
        },
        length(var.regions) > 0 ? { PENSTOCK_GOOGLE_HOME_REGION = var.region, PENSTOCK_GOOGLE_REGIONS = join(",", sort(keys(var.regions))) } : {},
        length(module.topology.rights[name].delays) > 0 ? { PENSTOCK_GOOGLE_TASKS_ACCOUNT = local.emails["tasks${local.at[region]}"] } : {},
        var.collector == null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = var.collector.endpoint },
        local.credentials ? { PENSTOCK_OTLP_HEADERS_SECRET = local.otlp_headers.name } : {},
        lookup(var.environment, name, {}),
      )
      # webhook and api are called by everybody and verify by themselves; the others by Google, from inside the project.
      ingress = stage.trigger == "http" ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
      memory  = "${stage.memory}Mi"
      name    = local.names.functions[name]
      region  = region
      stage   = name
      timeout = stage.timeout
      trigger = stage.trigger
    }
  } }
}
