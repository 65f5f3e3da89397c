# What each function is told (wiring/settings.py), who may call it, and which file of the bundle it starts with.

locals {
  functions = {
    for name, stage in module.topology.stages : name => {
      account = local.names.accounts[name]
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
          PENSTOCK_GOOGLE_BUCKET   = local.names.bucket
          PENSTOCK_GOOGLE_DATABASE = local.names.database
          PENSTOCK_GOOGLE_PREFIX   = var.prefix
          PENSTOCK_GOOGLE_REGION   = var.region
          # The bundle's root holds the package; functions-framework puts only the folder of its source on the path.
          PYTHONPATH = "/workspace"
        },
        length(module.topology.rights[name].delays) > 0 ? { PENSTOCK_GOOGLE_TASKS_ACCOUNT = local.emails["tasks"] } : {},
        lookup(var.environment, name, {}),
      )
      # webhook and api are called by everybody and verify by themselves; the others by Google, from inside the project.
      ingress = stage.trigger == "http" ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
      memory  = "${stage.memory}Mi"
      name    = local.names.functions[name]
      timeout = stage.timeout
      trigger = stage.trigger
    }
  }
}
