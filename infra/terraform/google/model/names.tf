# How everything is called: the same rules as shared/penstock/adapters/google/names.py and core/secrets/names.py.

locals {
  _project = "projects/${var.project}"

  # Service accounts: one a stage, and of those who act between them. Each is an e-mail's first part.
  _identities = concat(keys(module.topology.stages), ["build", "push", "tasks"])

  names = {
    accounts      = { for who in local._identities : who => "${var.prefix}-${who}" }
    bucket        = coalesce(var.bucket, "${var.prefix}-${var.project}")
    bundles       = "bundles/"
    database      = coalesce(var.database, "${var.prefix}-state")
    dead_topics   = { for stage in keys(module.topology.queues) : stage => "${var.prefix}-${stage}-dead" }
    functions     = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}" }
    logs          = var.prefix
    repository    = var.prefix
    secrets       = { for key, secret in var.secrets : key => "${local._secret}${join("_", [for part in [secret.cluster, secret.namespace, secret.name] : replace(replace(part, "-", "--"), ".", "-d")])}" }
    subscriptions = { for key, one in local._subscriptions : key => "${var.prefix}-${one.stage}-${one.topic}" }
    tasks_queue   = "${var.prefix}-delay"
    topics        = { for topic in module.topology.topics : topic => "${var.prefix}-${topic}" }
  }

  # With the word that all names of secrets start with: "plane-" alone would reach the secrets of plane-1 too.
  _secret = "${var.prefix}-penstock_"

  # Resource names, as IAM's conditions and the adapters write them. Of secrets, conditions know the project's number.
  paths = {
    artifacts     = "projects/_/buckets/${local.names.bucket}/objects/artifacts/sha256/"
    bundles       = "projects/_/buckets/${local.names.bucket}/objects/${local.names.bundles}"
    database      = "${local._project}/databases/${local.names.database}"
    dead_topics   = { for stage, name in local.names.dead_topics : stage => "${local._project}/topics/${name}" }
    secrets       = "projects/${var.number}/secrets/${local._secret}"
    sources       = "projects/_/buckets/gcf-v2-sources-${var.number}-${var.region}/objects/"
    subscriptions = { for key, name in local.names.subscriptions : key => "${local._project}/subscriptions/${name}" }
    tasks_queue   = "${local._project}/locations/${var.region}/queues/${local.names.tasks_queue}"
    topics        = { for topic, name in local.names.topics : topic => "${local._project}/topics/${name}" }
  }

  emails = { for who, account in local.names.accounts : who => "${account}@${var.project}.iam.gserviceaccount.com" }

  # Google's own accounts, which each API has in a project.
  agents = { pubsub = "service-${var.number}@gcp-sa-pubsub.iam.gserviceaccount.com" }
}
