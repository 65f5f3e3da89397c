# How everything is called: the same rules as shared/penstock/adapters/aws/names.py and core/secrets/names.py.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"

  here = "${var.region}:${var.account}"

  # A plane in several regions: this module once in each. The home region has everything, a further one what works on its
  # clusters. Into the others' resources reaches home, into home's each of them.
  home    = coalesce(var.home_region, var.region)
  is_home = local.home == var.region
  reach   = local.is_home ? concat([var.region], sort(var.regions)) : [var.region, local.home]

  home_bucket = coalesce(var.bucket, "${var.prefix}-${var.account}-${local.home}")
  buckets     = { for region in local.reach : region => region == local.home ? local.home_bucket : "${local.home_bucket}-${region}" }

  # The word before the first _ of a secret's name says who reads it: a stage, or "penstock" for the plane's own.
  readers = concat(["penstock"], module.topology.secret_readers)

  # A parameter's ARN has one slash between "parameter" and its path, and the path begins with it.
  secret_path = var.secrets_store == "parameter-store" ? "/${var.prefix}/" : "${var.prefix}/"
  secrets_of = {
    for region in local.reach : region => join("", [
      "arn:${local.partition}:",
      var.secrets_store == "parameter-store" ? "ssm:${region}:${var.account}:parameter" : "secretsmanager:${region}:${var.account}:secret:",
      local.secret_path,
    ])
  }

  # The plane's own are at home. Secrets Manager ends each ARN with six letters of its own.
  own_secret = {
    for name in ["api--token", "otlp--headers"] :
    name => "${local.secrets_of[local.home]}penstock_--_penstock--system_${name}${var.secrets_store == "parameter-store" ? "" : "-??????"}"
  }

  # Credentials of the collector: a secret of the plane's own, whose value comes by hand.
  credentials  = var.collector == null ? false : var.collector.credentials
  otlp_headers = { cluster = "-", name = "otlp-headers", namespace = "penstock-system", reader = "penstock" }
  by_hand      = merge(var.secrets, local.credentials ? { otlp-headers = local.otlp_headers } : {})

  # Where order is kept, queues and topics are of another kind, and SQS and SNS want it at the end of their names.
  fifo = { for stage, queue in module.topology.queues : stage => queue.ordered ? ".fifo" : "" }

  names = {
    bucket         = local.buckets[var.region]
    dashboard      = local.is_home ? var.prefix : "${var.prefix}-${var.region}" # of the account, not of a region
    dead_queues    = { for stage in keys(module.topology.queues) : stage => "${var.prefix}-${stage}-dead${local.fifo[stage]}" }
    functions      = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}" }
    log_groups     = { for stage in keys(module.topology.stages) : stage => "/aws/lambda/${var.prefix}-${stage}" }
    queues         = { for stage in keys(module.topology.queues) : stage => "${var.prefix}-${stage}${local.fifo[stage]}" }
    roles          = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}-${var.region}" }
    schedule_group = var.prefix
    scheduler_role = "${var.prefix}-scheduler-${var.region}"
    secrets = {
      for key, secret in local.by_hand : key => "${local.secret_path}${join("_", concat([secret.reader], [
        for part in [secret.cluster, secret.namespace, secret.name] : replace(replace(part, "-", "--"), ".", "-d")
      ]))}" if local.is_home || secret.cluster != "-"
    }
    table  = "${var.prefix}-state"
    topics = { for topic in module.topology.topics : topic => "${var.prefix}-${topic}${contains(module.topology.ordered_topics, topic) ? ".fifo" : ""}" }
  }

  arns = {
    artifacts      = "arn:${local.partition}:s3:::${local.names.bucket}/artifacts/sha256/*"
    bucket         = "arn:${local.partition}:s3:::${local.names.bucket}"
    dead_queues    = { for stage, name in local.names.dead_queues : stage => "arn:${local.partition}:sqs:${local.here}:${name}" }
    functions      = { for stage, name in local.names.functions : stage => "arn:${local.partition}:lambda:${local.here}:function:${name}" }
    index          = "arn:${local.partition}:dynamodb:${local.here}:table/${local.names.table}/index/due"
    log_groups     = { for stage, name in local.names.log_groups : stage => "arn:${local.partition}:logs:${local.here}:log-group:${name}" }
    queues         = { for stage, name in local.names.queues : stage => "arn:${local.partition}:sqs:${local.here}:${name}" }
    schedule_group = "arn:${local.partition}:scheduler:${local.here}:schedule-group/${local.names.schedule_group}"
    scheduler_role = "arn:${local.partition}:iam::${var.account}:role/${local.names.scheduler_role}"
    schedules      = "arn:${local.partition}:scheduler:${local.here}:schedule/${local.names.schedule_group}/*"
    secrets        = { for reader in local.readers : reader => "${local.secrets_of[var.region]}${reader}_*" }
    table          = "arn:${local.partition}:dynamodb:${local.here}:table/${local.names.table}"
    topics         = { for topic, name in local.names.topics : topic => "arn:${local.partition}:sns:${local.here}:${name}" }
  }

  # The same in each region that functions of this one reach.
  at = {
    for region in local.reach : region => {
      artifacts   = "arn:${local.partition}:s3:::${local.buckets[region]}/artifacts/sha256/*"
      bucket      = "arn:${local.partition}:s3:::${local.buckets[region]}"
      dead_queues = { for stage, arn in local.arns.dead_queues : stage => replace(arn, ":${var.region}:", ":${region}:") }
      index       = replace(local.arns.index, ":${var.region}:", ":${region}:")
      region      = region
      secrets     = { for reader in local.readers : reader => "${local.secrets_of[region]}${reader}_*" }
      table       = replace(local.arns.table, ":${var.region}:", ":${region}:")
      topics      = { for topic, arn in local.arns.topics : topic => replace(arn, ":${var.region}:", ":${region}:") }
    }
  }
}
