# How everything is called: the same rules as shared/penstock/adapters/google/names.py and core/secrets/names.py.

locals {
  project = "projects/${var.project}"

  # The home region first. Names are the project's, so those of a further region end with it. In maps over all regions an
  # entry of home has its plain key, one of a further region "<key>@<region>".
  everywhere = concat([var.region], sort(keys(var.regions)))
  suffix     = { for region in local.everywhere : region => region == var.region ? "" : "-${region}" }
  at         = { for region in local.everywhere : region => region == var.region ? "" : "@${region}" }

  # Stages of each region: a further one has those that work on its clusters.
  stages = {
    for region in local.everywhere : region => [for name, stage in module.topology.stages : name if region == var.region || stage.trigger == "topic"]
  }

  # Service accounts: one a stage, and of those who act between them. Each is an e-mail's first part, which ends at 30
  # characters: no room for a region's name. Builds know nothing of regions.
  identities = {
    for region in local.everywhere : region => concat(local.stages[region], ["push", "tasks"], region == var.region ? ["build"] : [])
  }

  names = {
    accounts = merge([
      for region in local.everywhere : {
        for who in local.identities[region] :
        "${who}${local.at[region]}" => "${var.prefix}-${who}${region == var.region ? "" : "-${substr(sha256(region), 0, 5)}"}"
      }
    ]...)
    bundles    = "bundles/"
    functions  = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}" }
    repository = var.prefix
  }

  # Credentials of the collector: a secret of the plane's own, whose value comes by hand.
  credentials  = var.collector == null ? false : var.collector.credentials
  otlp_headers = { cluster = "-", name = "otlp-headers", namespace = "penstock-system", reader = "penstock" }
  by_hand      = merge(var.secrets, local.credentials ? { otlp-headers = local.otlp_headers } : {})

  # Then comes who reads it, a stage or "penstock" for the plane's own, and an underscore: "plane-" alone would reach the
  # secrets of plane-1 too. No prefix has an underscore, so that home's reach none of a further region's.
  secret  = { for region in local.everywhere : region => "${var.prefix}${region == var.region ? "" : "_${region}"}-" }
  readers = concat(["penstock"], module.topology.secret_readers)

  # Resource names, as IAM's conditions and the adapters write them. Of secrets, conditions know the project's number.
  paths = {
    for region, place in local.places : region => {
      artifacts     = "projects/_/buckets/${place.bucket}/objects/artifacts/sha256/"
      databases     = { for part, name in place.databases : part => "${local.project}/databases/${name}" }
      dead_topics   = { for stage, name in place.dead_topics : stage => "${local.project}/topics/${name}" }
      secrets       = { for reader in local.readers : reader => "projects/${var.number}/secrets/${local.secret[region]}${reader}_" }
      sources       = "projects/_/buckets/gcf-v2-sources-${var.number}-${region}/objects/"
      subscriptions = { for key, name in place.subscriptions : key => "${local.project}/subscriptions/${name}" }
      tasks_queue   = "${local.project}/locations/${region}/queues/${place.tasks_queue}"
      topics        = { for topic, name in place.topics : topic => "${local.project}/topics/${name}" }
    }
  }

  bundles = "projects/_/buckets/${local.places[var.region].bucket}/objects/${local.names.bundles}"

  emails = { for who, account in local.names.accounts : who => "${account}@${var.project}.iam.gserviceaccount.com" }

  # Google's own accounts, which each API has in a project.
  agents = { pubsub = "service-${var.number}@gcp-sa-pubsub.iam.gserviceaccount.com" }
}
