# topology's verbs as grants: who has which role on what, and under which condition. A line without a resource falls away.

locals {
  _on_database  = { title = "records of ${var.prefix}", expression = "resource.name == \"${local.paths.database}\"" }
  _on_artifacts = { title = "artifacts of ${var.prefix}", expression = "resource.name.startsWith(\"${local.paths.artifacts}\")" }
  _on_secrets   = { title = "secrets of ${var.prefix}", expression = "resource.name.startsWith(\"${local.paths.secrets}\")" }
  _on_sources   = { title = "sources of functions", expression = "resource.name.startsWith(\"${local.paths.sources}\")" }
  _on_bundles   = { title = "bundles of ${var.prefix}", expression = "resource.name.startsWith(\"${local.paths.bundles}\")" }
  _always       = { title = "", expression = "" }

  # No index of Firestore is by verb: webhook's "read-hooks" and api's "scan" are reads as all others are.
  _reads = ["read", "read-hooks", "due", "scan"]

  _of_stages = flatten([
    for stage, right in module.topology.rights : [
      {
        who       = stage
        role      = local._role.record_reader
        kind      = "project"
        resources = length(setintersection(right.verbs.state, local._reads)) > 0 ? [var.project] : []
        condition = local._on_database
      },
      {
        who       = stage
        role      = local._role.record_writer
        kind      = "project"
        resources = length(setintersection(right.verbs.state, ["write", "write-deliveries"])) > 0 ? [var.project] : []
        condition = local._on_database
      },
      {
        who       = stage
        role      = local._role.record_remover
        kind      = "project"
        resources = contains(right.verbs.state, "remove") ? [var.project] : []
        condition = local._on_database
      },
      {
        who       = stage
        role      = local._role.artifact_reader
        kind      = "bucket"
        resources = contains(right.verbs.storage, "read") ? [local.names.bucket] : []
        condition = local._on_artifacts
      },
      {
        # Also for those that read: without it a missing artifact reads as 403. A list has no condition: it is of the bucket.
        who       = stage
        role      = local._role.artifact_lister
        kind      = "bucket"
        resources = length(setintersection(right.verbs.storage, ["read", "list"])) > 0 ? [local.names.bucket] : []
        condition = local._always
      },
      {
        who       = stage
        role      = local._role.artifact_writer
        kind      = "bucket"
        resources = contains(right.verbs.storage, "write") ? [local.names.bucket] : []
        condition = local._on_artifacts
      },
      {
        who       = stage
        role      = local._role.artifact_collector
        kind      = "bucket"
        resources = contains(right.verbs.storage, "delete") ? [local.names.bucket] : []
        condition = local._on_artifacts
      },
      {
        who       = stage
        role      = local._role.secret_reader
        kind      = "project"
        resources = contains(right.verbs.secrets, "read") ? [var.project] : []
        condition = local._on_secrets
      },
      {
        who       = stage
        role      = local._role.secret_keeper
        kind      = "project"
        resources = contains(right.verbs.secrets, "write") ? [var.project] : []
        condition = local._on_secrets
      },
      {
        # Of the project, whatever the name: Secret Manager asks for it on the parent.
        who       = stage
        role      = local._role.secret_maker
        kind      = "project"
        resources = contains(right.verbs.secrets, "write") ? [var.project] : []
        condition = local._always
      },
      {
        who       = stage
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = [for topic in right.publishes : local.names.topics[topic]]
        condition = local._always
      },
      {
        # What a stage gives up, it puts there itself, with its reason.
        who       = stage
        role      = "roles/pubsub.publisher"
        kind      = "topic"
        resources = right.consumes ? [local.names.dead_topics[stage]] : []
        condition = local._always
      },
      {
        who       = stage
        role      = local._role.task_maker
        kind      = "queue"
        resources = length(right.delays) > 0 ? [local.names.tasks_queue] : []
        condition = local._always
      },
      {
        who       = stage
        role      = local._role.impersonator
        kind      = "account"
        resources = length(right.delays) > 0 ? [local.emails["tasks"]] : []
        condition = local._always
      },
      {
        who       = stage
        role      = "roles/container.clusterViewer"
        kind      = "project"
        resources = contains(right.verbs.clusters, "reach") ? sort(var.gke_projects) : []
        condition = local._always
      },
      {
        who       = stage
        role      = "roles/cloudkms.cryptoKeyDecrypter"
        kind      = "key"
        resources = contains(right.verbs.keys, "decrypt") ? keys(var.sops_keys) : []
        condition = local._always
      },
    ]
  ])

  _of_others = [
    {
      # Cloud Tasks publishes as it what was put off.
      who       = "tasks"
      role      = "roles/pubsub.publisher"
      kind      = "topic"
      resources = [for topic in distinct(flatten([for right in module.topology.rights : right.delays])) : local.names.topics[topic]]
      condition = local._always
    },
    {
      # Pub/Sub and Cloud Scheduler call as it; nobody else may call these functions.
      who       = "push"
      role      = "roles/run.invoker"
      kind      = "function"
      resources = [for function in values(local.functions) : function.name if function.trigger != "http"]
      condition = local._always
    },
    {
      # They verify who calls, before they read: webhook a signature (HMAC), api a bearer token.
      who       = "everybody"
      role      = "roles/run.invoker"
      kind      = "function"
      resources = [for function in values(local.functions) : function.name if function.trigger == "http"]
      condition = local._always
    },
    {
      who       = "pubsub"
      role      = "roles/iam.serviceAccountOpenIdTokenCreator"
      kind      = "account"
      resources = [local.emails["push"]]
      condition = local._always
    },
    {
      # What a push did not bring to an end, Pub/Sub moves itself.
      who       = "pubsub"
      role      = "roles/pubsub.publisher"
      kind      = "topic"
      resources = values(local.names.dead_topics)
      condition = local._always
    },
    {
      who       = "pubsub"
      role      = "roles/pubsub.subscriber"
      kind      = "subscription"
      resources = [for one in local.subscriptions : one.name if !one.of_dead]
      condition = local._always
    },
    {
      # Cloud Build makes an image of the bundle. Cloud Functions copies the bundle into a bucket of its own first.
      who       = "build"
      role      = local._role.artifact_reader
      kind      = "project"
      resources = [var.project]
      condition = local._on_sources
    },
    {
      who       = "build"
      role      = local._role.artifact_reader
      kind      = "bucket"
      resources = [local.names.bucket]
      condition = local._on_bundles
    },
    {
      who       = "build"
      role      = "roles/artifactregistry.writer"
      kind      = "repository"
      resources = [local.names.repository]
      condition = local._always
    },
    {
      who       = "build"
      role      = "roles/logging.logWriter"
      kind      = "project"
      resources = [var.project]
      condition = local._always
    },
  ]

  # By a name of known parts only: what is made in the same apply (a key, the project's number) has no name yet.
  grants = merge([
    for line in concat(local._of_stages, local._of_others) : {
      for name in line.resources :
      "${line.who}: ${trimprefix(trimprefix(line.role, "${local._project}/"), "roles/")} on ${line.kind} ${name}${line.condition.title == "" ? "" : " (${line.condition.title})"}" => {
        condition = line.condition
        kind      = line.kind
        resource  = line.kind == "key" ? var.sops_keys[name] : name
        role      = line.role
        who       = line.who
      }
    }
  ]...)
}
