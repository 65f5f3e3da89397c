# How everything is called: the same rules as shared/penstock/adapters/google/names.py and core/secrets/names.py.

locals {
  _project = "projects/${var.project}"

  # The home region first. Names are the project's, so those of a further region end with it. In maps over all regions an
  # entry of home has its plain key, one of a further region "<key>@<region>".
  _everywhere = concat([var.region], sort(keys(var.regions)))
  _suffix     = { for region in local._everywhere : region => region == var.region ? "" : "-${region}" }
  _at         = { for region in local._everywhere : region => region == var.region ? "" : "@${region}" }

  # Stages of each region: a further one has those that work on its clusters.
  _stages = {
    for region in local._everywhere : region => [for name, stage in module.topology.stages : name if region == var.region || stage.trigger == "topic"]
  }

  # Service accounts: one a stage, and of those who act between them. Each is an e-mail's first part, which ends at 30
  # characters: no room for a region's name. Builds know nothing of regions.
  _identities = {
    for region in local._everywhere : region => concat(local._stages[region], ["push", "tasks"], region == var.region ? ["build"] : [])
  }

  names = {
    accounts = merge([
      for region in local._everywhere : {
        for who in local._identities[region] :
        "${who}${local._at[region]}" => "${var.prefix}-${who}${region == var.region ? "" : "-${substr(sha256(region), 0, 5)}"}"
      }
    ]...)
    bundles    = "bundles/"
    functions  = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}" }
    repository = var.prefix
  }

  # Credentials of the collector: a secret of the plane's own, whose value comes by hand.
  _credentials  = var.collector == null ? false : var.collector.credentials
  _otlp_headers = { cluster = "-", name = "otlp-headers", namespace = "penstock-system" }
  _by_hand      = merge(var.secrets, local._credentials ? { otlp-headers = local._otlp_headers } : {})

  # With the word that all names of secrets start with: "plane-" alone would reach the secrets of plane-1 too. No prefix
  # has an underscore, so that home's reach none of a further region's.
  _secret = { for region in local._everywhere : region => "${var.prefix}${region == var.region ? "" : "_${region}"}-penstock_" }

  # Resource names, as IAM's conditions and the adapters write them. Of secrets, conditions know the project's number.
  paths = {
    for region, place in local.places : region => {
      artifacts     = "projects/_/buckets/${place.bucket}/objects/artifacts/sha256/"
      database      = "${local._project}/databases/${place.database}"
      dead_topics   = { for stage, name in place.dead_topics : stage => "${local._project}/topics/${name}" }
      secrets       = "projects/${var.number}/secrets/${local._secret[region]}"
      sources       = "projects/_/buckets/gcf-v2-sources-${var.number}-${region}/objects/"
      subscriptions = { for key, name in place.subscriptions : key => "${local._project}/subscriptions/${name}" }
      tasks_queue   = "${local._project}/locations/${region}/queues/${place.tasks_queue}"
      topics        = { for topic, name in place.topics : topic => "${local._project}/topics/${name}" }
    }
  }

  _bundles = "projects/_/buckets/${local.places[var.region].bucket}/objects/${local.names.bundles}"

  emails = { for who, account in local.names.accounts : who => "${account}@${var.project}.iam.gserviceaccount.com" }

  # Google's own accounts, which each API has in a project.
  agents = { pubsub = "service-${var.number}@gcp-sa-pubsub.iam.gserviceaccount.com" }
}
