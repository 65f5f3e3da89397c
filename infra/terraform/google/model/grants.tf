# topology's verbs as grants: who has which role on what, and under which condition. A line without a resource falls away.

locals {
  _of = { for region in local._everywhere : region => region == var.region ? var.prefix : "${var.prefix} in ${region}" }

  _on_database  = { for region, path in local.paths : region => { title = "records of ${local._of[region]}", expression = "resource.name == \"${path.database}\"" } }
  _on_artifacts = { for region, path in local.paths : region => { title = "artifacts of ${local._of[region]}", expression = "resource.name.startsWith(\"${path.artifacts}\")" } }
  _on_secrets   = { for region, path in local.paths : region => { title = "secrets of ${local._of[region]}", expression = "resource.name.startsWith(\"${path.secrets}\")" } }
  _on_sources   = { for region, path in local.paths : region => { title = "sources of functions${region == var.region ? "" : " in ${region}"}", expression = "resource.name.startsWith(\"${path.sources}\")" } }
  _on_bundles   = { title = "bundles of ${var.prefix}", expression = "resource.name.startsWith(\"${local._bundles}\")" }
  _on_token     = { title = "api token of ${var.prefix}", expression = "resource.name.startsWith(\"projects/${var.number}/secrets/${local._secret[var.region]}--_penstock--system_api--token/\")" }
  _on_headers   = { title = "collector of ${var.prefix}", expression = "resource.name.startsWith(\"projects/${var.number}/secrets/${local._secret[var.region]}--_penstock--system_otlp--headers/\")" }
  _always       = { title = "", expression = "" }

  # No index of Firestore is by verb: webhook's "read-hooks" and api's "scan" are reads as all others are.
  _reads = ["read", "read-hooks", "due", "scan"]

  _gke_projects = { for region in local._everywhere : region => region == var.region ? var.gke_projects : var.regions[region].gke_projects }
  _sops_keys    = { for region in local._everywhere : region => region == var.region ? var.sops_keys : var.regions[region].sops_keys }

  # Each function and each region that it reaches: its own; of home all others; of others home. Nobody reaches a third.
  _reached = flatten([
    for here in local._everywhere : [
      for stage in local._stages[here] : [
        for region in local._everywhere : {
          own       = region == here
          publishes = region == here ? module.topology.rights[stage].publishes : module.topology.rights[stage].elsewhere[here == var.region ? "further" : "home"].publishes
          region    = region
          stage     = stage
          verbs     = region == here ? module.topology.rights[stage].verbs : module.topology.rights[stage].elsewhere[here == var.region ? "further" : "home"].verbs
          who       = "${stage}${local._at[here]}"
        } if region == here || region == var.region || here == var.region
      ]
    ]
  ])

  _of_stages = flatten([
    for reach in local._reached : [
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.record_reader
        kind      = "project"
        resources = length(setintersection(reach.verbs.state, local._reads)) > 0 ? [var.project] : []
        condition = local._on_database[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.record_writer
        kind      = "project"
        resources = length(setintersection(reach.verbs.state, ["write", "write-deliveries"])) > 0 ? [var.project] : []
        condition = local._on_database[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.record_remover
        kind      = "project"
        resources = contains(reach.verbs.state, "remove") ? [var.project] : []
        condition = local._on_database[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.artifact_reader
        kind      = "bucket"
        resources = contains(reach.verbs.storage, "read") ? [local.places[reach.region].bucket] : []
        condition = local._on_artifacts[reach.region]
      },
      {
        # Also for those that read: without it a missing artifact reads as 403. A list has no condition: it is of the bucket.
        region    = reach.region
        who       = reach.who
        role      = local._role.artifact_lister
        kind      = "bucket"
        resources = length(setintersection(reach.verbs.storage, ["read", "list"])) > 0 ? [local.places[reach.region].bucket] : []
        condition = local._always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.artifact_writer
        kind      = "bucket"
        resources = contains(reach.verbs.storage, "write") ? [local.places[reach.region].bucket] : []
        condition = local._on_artifacts[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.artifact_collector
        kind      = "bucket"
        resources = contains(reach.verbs.storage, "delete") ? [local.places[reach.region].bucket] : []
        condition = local._on_artifacts[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.secret_reader
        kind      = "project"
        resources = contains(reach.verbs.secrets, "read") ? [var.project] : []
        condition = local._on_secrets[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.secret_reader
        kind      = "project"
        resources = contains(reach.verbs.secrets, "read-token") ? [var.project] : []
        condition = local._on_token
      },
      {
        # Of all functions, those of further regions too; some may read it already.
        region    = reach.region
        who       = reach.who
        role      = local._role.secret_reader
        kind      = "project"
        resources = local._credentials && reach.region == var.region && !contains(reach.verbs.secrets, "read") ? [var.project] : []
        condition = local._on_headers
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.secret_keeper
        kind      = "project"
        resources = contains(reach.verbs.secrets, "write") ? [var.project] : []
        condition = local._on_secrets[reach.region]
      },
      {
        # Of the project, whatever the name: Secret Manager asks for it on the parent.
        region    = reach.region
        who       = reach.who
        role      = local._role.secret_maker
        kind      = "project"
        resources = contains(reach.verbs.secrets, "write") ? [var.project] : []
        condition = local._always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = [for topic in reach.publishes : local.places[reach.region].topics[topic]]
        condition = local._always
      },
      {
        # What a stage gives up, it puts there itself, with its reason.
        region    = reach.region
        who       = reach.who
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = reach.own && module.topology.rights[reach.stage].consumes ? [local.places[reach.region].dead_topics[reach.stage]] : []
        condition = local._always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.task_maker
        kind      = "queue"
        resources = reach.own && length(module.topology.rights[reach.stage].delays) > 0 ? [local.places[reach.region].tasks_queue] : []
        condition = local._always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local._role.impersonator
        kind      = "account"
        resources = reach.own && length(module.topology.rights[reach.stage].delays) > 0 ? [local.emails["tasks${local._at[reach.region]}"]] : []
        condition = local._always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = "roles/container.clusterViewer"
        kind      = "project"
        resources = contains(reach.verbs.clusters, "reach") ? sort(local._gke_projects[reach.region]) : []
        condition = local._always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = "roles/cloudkms.cryptoKeyDecrypter"
        kind      = "key"
        resources = contains(reach.verbs.keys, "decrypt") ? keys(local._sops_keys[reach.region]) : []
        condition = local._always
      },
    ]
  ])

  _of_others = concat(flatten([
    for region in local._everywhere : [
      {
        # Cloud Tasks publishes as it what was put off.
        region    = region
        who       = "tasks${local._at[region]}"
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = [for topic in distinct(flatten([for right in module.topology.rights : right.delays])) : local.places[region].topics[topic]]
        condition = local._always
      },
      {
        # Pub/Sub and Cloud Scheduler call as it; nobody else may call these functions.
        region    = region
        who       = "push${local._at[region]}"
        role      = "roles/run.invoker"
        kind      = "function"
        resources = [for function in values(local.functions) : function.name if function.region == region && function.trigger != "http"]
        condition = local._always
      },
      {
        # They verify who calls, before they read: webhook a signature (HMAC), api a bearer token.
        region    = region
        who       = "everybody"
        role      = "roles/run.invoker"
        kind      = "function"
        resources = [for function in values(local.functions) : function.name if function.region == region && function.trigger == "http"]
        condition = local._always
      },
      {
        region    = region
        who       = "pubsub"
        role      = "roles/iam.serviceAccountOpenIdTokenCreator"
        kind      = "account"
        resources = [local.emails["push${local._at[region]}"]]
        condition = local._always
      },
      {
        # What a push did not bring to an end, Pub/Sub moves itself.
        region    = region
        who       = "pubsub"
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = values(local.places[region].dead_topics)
        condition = local._always
      },
      {
        region    = region
        who       = "pubsub"
        role      = "roles/pubsub.subscriber"
        kind      = "subscription"
        resources = [for one in local.subscriptions : one.name if one.region == region && !one.of_dead]
        condition = local._always
      },
      {
        # Cloud Build makes an image of the bundle. Cloud Functions copies the bundle into a bucket of its own first.
        region    = region
        who       = "build"
        role      = local._role.artifact_reader
        kind      = "project"
        resources = [var.project]
        condition = local._on_sources[region]
      },
      {
        # Of its function's region: Cloud Functions takes no other.
        region    = region
        who       = "build"
        role      = "roles/artifactregistry.writer"
        kind      = "repository"
        resources = [local.names.repository]
        condition = local._always
      },
    ]
    ]), [
    {
      region    = var.region
      who       = "build"
      role      = local._role.artifact_reader
      kind      = "bucket"
      resources = [local.places[var.region].bucket]
      condition = local._on_bundles
    },
    {
      region    = var.region
      who       = "build"
      role      = "roles/logging.logWriter"
      kind      = "project"
      resources = [var.project]
      condition = local._always
    },
  ])

  # What has its name in a region only.
  _local_kinds = ["function", "queue", "repository"]

  # By a name of known parts only: what is made in the same apply (a key, the project's number) has no name yet.
  grants = merge([
    for line in concat(local._of_stages, local._of_others) : {
      for name in line.resources : join("", [
        "${line.who}: ${trimprefix(trimprefix(line.role, "${local._project}/"), "roles/")} on ${line.kind} ${name}",
        contains(local._local_kinds, line.kind) && line.region != var.region ? " in ${line.region}" : "",
        line.condition.title == "" ? "" : " (${line.condition.title})",
        ]) => {
        condition = line.condition
        kind      = line.kind
        region    = contains(local._local_kinds, line.kind) ? line.region : ""
        resource  = line.kind == "key" ? local._sops_keys[line.region][name] : name
        role      = line.role
        who       = line.who
      }
    }
  ]...)
}
