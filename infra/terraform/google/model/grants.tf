# topology's verbs as grants: who has which role on what, and under which condition. A line without a resource falls away.

locals {
  of = { for region in local.everywhere : region => region == var.region ? var.prefix : "${var.prefix} in ${region}" }

  on_database  = { for region, path in local.paths : region => { for part, database in path.databases : part => { title = "${part} of ${local.of[region]}", expression = "resource.name == \"${database}\"" } } }
  on_artifacts = { for region, path in local.paths : region => { title = "artifacts of ${local.of[region]}", expression = "resource.name.startsWith(\"${path.artifacts}\")" } }
  secrets_for  = { for region, path in local.paths : region => { for reader, start in path.secrets : reader => "resource.name.startsWith(\"${start}\")" } }
  on_mine      = { for region, reads in local.secrets_for : region => { for reader, expression in reads : reader => { title = "secrets of ${local.of[region]} for ${reader}", expression = expression } } }
  on_copies    = { for region, copies in local.copies : region => { title = "copies of ${local.of[region]}", expression = copies } }
  on_secrets   = { for region, copies in local.copies : region => { title = "secrets of ${local.of[region]}", expression = "${local.secrets_for[region].penstock} || ${copies}" } }
  on_former    = { for region, path in local.paths : region => { title = "former copies of ${local.of[region]}", expression = "resource.name.startsWith(\"${path.secrets.penstock}\") && !resource.name.startsWith(\"${path.secrets.penstock}--_\")" } }
  on_sources   = { for region, path in local.paths : region => { title = "sources of functions${region == var.region ? "" : " in ${region}"}", expression = "resource.name.startsWith(\"${path.sources}\")" } }
  on_bundles   = { title = "bundles of ${var.prefix}", expression = "resource.name.startsWith(\"${local.bundles}\")" }
  on_token     = { title = "api token of ${var.prefix}", expression = "resource.name.startsWith(\"projects/${var.number}/secrets/${local.secret[var.region]}penstock_--_penstock--system_api--token/\")" }
  on_headers   = { title = "collector of ${var.prefix}", expression = "resource.name.startsWith(\"projects/${var.number}/secrets/${local.secret[var.region]}penstock_--_penstock--system_otlp--headers/\")" }
  always       = { title = "", expression = "" }

  # What reconcile makes for others is of a cluster: what stands under "-" an operator has made, such as the login of the
  # plane's own source, which only fetch reads.
  copies = {
    for region, path in local.paths : region => join(" || ", [
      for reader in module.topology.secret_readers :
      "(resource.name.startsWith(\"${path.secrets[reader]}\") && !resource.name.startsWith(\"${path.secrets[reader]}--_\"))"
    ])
  }

  # By role and database, the verbs that need it. No index of Firestore is by verb: api's "scan" is a read as all others are.
  record_verbs = {
    record_getter  = { hooks = ["read-hooks"], index = [], state = [] }
    record_reader  = { hooks = ["sweep"], index = ["read", "read-hooks", "read-index"], state = ["read"] }
    record_writer  = { hooks = ["write-deliveries"], index = ["index"], state = ["write"] }
    record_remover = { hooks = [], index = ["index"], state = ["remove"] }
  }

  gke_projects = { for region in local.everywhere : region => region == var.region ? var.gke_projects : var.regions[region].gke_projects }
  sops_keys    = { for region in local.everywhere : region => region == var.region ? var.sops_keys : var.regions[region].sops_keys }

  # Each function and each region that it reaches: its own; of home all others; of others home. Nobody reaches a third.
  reached = flatten([
    for here in local.everywhere : [
      for stage in local.stages[here] : [
        for region in local.everywhere : {
          own       = region == here
          publishes = region == here ? module.topology.rights[stage].publishes : module.topology.rights[stage].elsewhere[here == var.region ? "further" : "home"].publishes
          region    = region
          stage     = stage
          verbs     = region == here ? module.topology.rights[stage].verbs : module.topology.rights[stage].elsewhere[here == var.region ? "further" : "home"].verbs
          who       = "${stage}${local.at[here]}"
        } if region == here || region == var.region || here == var.region
      ]
    ]
  ])

  of_stages = flatten([
    for reach in local.reached : [
      [
        for role, parts in local.record_verbs : [
          for part, verbs in parts : {
            region    = reach.region
            who       = reach.who
            role      = local.role[role]
            kind      = "project"
            resources = length(setintersection(reach.verbs.state, verbs)) > 0 ? [var.project] : []
            condition = local.on_database[reach.region][part]
          }
        ]
      ],
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.artifact_reader
        kind      = "bucket"
        resources = contains(reach.verbs.storage, "read") ? [local.places[reach.region].bucket] : []
        condition = local.on_artifacts[reach.region]
      },
      {
        # Also for those that read: without it a missing artifact reads as 403. A list has no condition: it is of the bucket.
        region    = reach.region
        who       = reach.who
        role      = local.role.artifact_lister
        kind      = "bucket"
        resources = length(setintersection(reach.verbs.storage, ["read", "list"])) > 0 ? [local.places[reach.region].bucket] : []
        condition = local.always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.artifact_writer
        kind      = "bucket"
        resources = contains(reach.verbs.storage, "write") ? [local.places[reach.region].bucket] : []
        condition = local.on_artifacts[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.artifact_collector
        kind      = "bucket"
        resources = contains(reach.verbs.storage, "delete") ? [local.places[reach.region].bucket] : []
        condition = local.on_artifacts[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_reader
        kind      = "project"
        resources = contains(reach.verbs.secrets, "read") ? [var.project] : []
        condition = local.on_secrets[reach.region]
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_reader
        kind      = "project"
        resources = contains(reach.verbs.secrets, "read-mine") ? [var.project] : []
        condition = lookup(local.on_mine[reach.region], reach.stage, null)
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_reader
        kind      = "project"
        resources = contains(reach.verbs.secrets, "read-token") ? [var.project] : []
        condition = local.on_token
      },
      {
        # Of all functions, those of further regions too; some may read it already.
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_reader
        kind      = "project"
        resources = local.credentials && reach.region == var.region && !contains(reach.verbs.secrets, "read") ? [var.project] : []
        condition = local.on_headers
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_keeper
        kind      = "project"
        resources = contains(reach.verbs.secrets, "write") ? [var.project] : []
        condition = local.on_copies[reach.region]
      },
      {
        # Copies that a release made whose names had no reader; nothing of the plane's own, which is of cluster "-".
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_remover
        kind      = "project"
        resources = contains(reach.verbs.secrets, "write") ? [var.project] : []
        condition = local.on_former[reach.region]
      },
      {
        # Of the project, whatever the name: Secret Manager asks for it on the parent.
        region    = reach.region
        who       = reach.who
        role      = local.role.secret_maker
        kind      = "project"
        resources = contains(reach.verbs.secrets, "write") ? [var.project] : []
        condition = local.always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = [for topic in reach.publishes : local.places[reach.region].topics[topic]]
        condition = local.always
      },
      {
        # What a stage gives up, it puts there itself, with its reason.
        region    = reach.region
        who       = reach.who
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = reach.own && module.topology.rights[reach.stage].consumes ? [local.places[reach.region].dead_topics[reach.stage]] : []
        condition = local.always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.task_maker
        kind      = "queue"
        resources = reach.own && length(module.topology.rights[reach.stage].delays) > 0 ? [local.places[reach.region].tasks_queue] : []
        condition = local.always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = local.role.impersonator
        kind      = "account"
        resources = reach.own && length(module.topology.rights[reach.stage].delays) > 0 ? [local.emails["tasks${local.at[reach.region]}"]] : []
        condition = local.always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = "roles/container.clusterViewer"
        kind      = "project"
        resources = contains(reach.verbs.clusters, "reach") ? sort(local.gke_projects[reach.region]) : []
        condition = local.always
      },
      {
        region    = reach.region
        who       = reach.who
        role      = "roles/cloudkms.cryptoKeyDecrypter"
        kind      = "key"
        resources = contains(reach.verbs.keys, "decrypt") ? keys(local.sops_keys[reach.region]) : []
        condition = local.always
      },
    ]
  ])

  of_others = concat(flatten([
    for region in local.everywhere : [
      {
        # Cloud Tasks publishes as it what was put off.
        region    = region
        who       = "tasks${local.at[region]}"
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = [for topic in distinct(flatten([for right in module.topology.rights : right.delays])) : local.places[region].topics[topic]]
        condition = local.always
      },
      {
        # Pub/Sub and Cloud Scheduler call as it; nobody else may call these functions.
        region    = region
        who       = "push${local.at[region]}"
        role      = "roles/run.invoker"
        kind      = "function"
        resources = [for function in values(local.functions) : function.name if function.region == region && function.trigger != "http"]
        condition = local.always
      },
      {
        # They verify who calls, before they read: webhook a signature (HMAC), api a bearer token.
        region    = region
        who       = "everybody"
        role      = "roles/run.invoker"
        kind      = "function"
        resources = [for function in values(local.functions) : function.name if function.region == region && function.trigger == "http"]
        condition = local.always
      },
      {
        region    = region
        who       = "pubsub"
        role      = "roles/iam.serviceAccountOpenIdTokenCreator"
        kind      = "account"
        resources = [local.emails["push${local.at[region]}"]]
        condition = local.always
      },
      {
        # What a push did not bring to an end, Pub/Sub moves itself.
        region    = region
        who       = "pubsub"
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = values(local.places[region].dead_topics)
        condition = local.always
      },
      {
        region    = region
        who       = "pubsub"
        role      = "roles/pubsub.subscriber"
        kind      = "subscription"
        resources = [for one in local.subscriptions : one.name if one.region == region && !one.of_dead]
        condition = local.always
      },
      {
        # Cloud Build makes an image of the bundle. Cloud Functions copies the bundle into a bucket of its own first.
        region    = region
        who       = "build"
        role      = local.role.artifact_reader
        kind      = "project"
        resources = [var.project]
        condition = local.on_sources[region]
      },
      {
        # Of its function's region: Cloud Functions takes no other.
        region    = region
        who       = "build"
        role      = "roles/artifactregistry.writer"
        kind      = "repository"
        resources = [local.names.repository]
        condition = local.always
      },
    ]
    ]), [
    {
      region    = var.region
      who       = "build"
      role      = local.role.artifact_reader
      kind      = "bucket"
      resources = [local.places[var.region].bucket]
      condition = local.on_bundles
    },
    {
      region    = var.region
      who       = "build"
      role      = "roles/logging.logWriter"
      kind      = "project"
      resources = [var.project]
      condition = local.always
    },
  ])

  # What has its name in a region only.
  local_kinds = ["function", "queue", "repository"]

  # By a name of known parts only: what is made in the same apply (a key, the project's number) has no name yet.
  grants = merge([
    for line in concat(local.of_stages, local.of_others) : {
      for name in line.resources : join("", [
        "${line.who}: ${trimprefix(trimprefix(line.role, "${local.project}/"), "roles/")} on ${line.kind} ${name}",
        contains(local.local_kinds, line.kind) && line.region != var.region ? " in ${line.region}" : "",
        line.condition.title == "" ? "" : " (${line.condition.title})",
        ]) => {
        condition = line.condition
        kind      = line.kind
        region    = contains(local.local_kinds, line.kind) ? line.region : ""
        resource  = line.kind == "key" ? local.sops_keys[line.region][name] : name
        role      = line.role
        who       = line.who
      }
    }
  ]...)
}
