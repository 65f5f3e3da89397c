# How everything is called: the same rules as shared/penstock/adapters/aws/names.py and core/secrets/names.py.

locals {
  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"

  _here = "${var.region}:${var.account}"

  # A plane in several regions: this module once in each. The home region has everything, a further one what works on its
  # clusters. Into the others' resources reaches home, into home's each of them.
  _home   = coalesce(var.home_region, var.region)
  is_home = local._home == var.region
  _reach  = local.is_home ? concat([var.region], sort(var.regions)) : [var.region, local._home]

  _home_bucket = coalesce(var.bucket, "${var.prefix}-${var.account}-${local._home}")
  _buckets     = { for region in local._reach : region => region == local._home ? local._home_bucket : "${local._home_bucket}-${region}" }

  # A parameter's ARN has one slash between "parameter" and its path, and the path begins with it.
  _secret_path  = var.secrets_store == "parameter-store" ? "/${var.prefix}/" : "${var.prefix}/"
  _secret_store = var.secrets_store == "parameter-store" ? "ssm:${local._here}:parameter" : "secretsmanager:${local._here}:secret:"

  # Credentials of the collector: a secret of the plane's own, whose value comes by hand.
  _credentials  = var.collector == null ? false : var.collector.credentials
  _otlp_headers = { cluster = "-", name = "otlp-headers", namespace = "penstock-system" }
  _by_hand      = merge(var.secrets, local._credentials ? { otlp-headers = local._otlp_headers } : {})

  # Where order is kept, queues and topics are of another kind, and SQS and SNS want it at the end of their names.
  _fifo = { for stage, queue in module.topology.queues : stage => queue.ordered ? ".fifo" : "" }

  names = {
    bucket         = local._buckets[var.region]
    dashboard      = local.is_home ? var.prefix : "${var.prefix}-${var.region}" # of the account, not of a region
    dead_queues    = { for stage in keys(module.topology.queues) : stage => "${var.prefix}-${stage}-dead${local._fifo[stage]}" }
    functions      = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}" }
    log_groups     = { for stage in keys(module.topology.stages) : stage => "/aws/lambda/${var.prefix}-${stage}" }
    queues         = { for stage in keys(module.topology.queues) : stage => "${var.prefix}-${stage}${local._fifo[stage]}" }
    roles          = { for stage in keys(module.topology.stages) : stage => "${var.prefix}-${stage}-${var.region}" }
    schedule_group = var.prefix
    scheduler_role = "${var.prefix}-scheduler-${var.region}"
    secrets = {
      for key, secret in local._by_hand : key => "${local._secret_path}${join("_", concat(["penstock"], [
        for part in [secret.cluster, secret.namespace, secret.name] : replace(replace(part, "-", "--"), ".", "-d")
      ]))}" if local.is_home || secret.cluster != "-"
    }
    table  = "${var.prefix}-state"
    topics = { for topic in module.topology.topics : topic => "${var.prefix}-${topic}${contains(module.topology.ordered_topics, topic) ? ".fifo" : ""}" }
  }

  arns = {
    artifacts      = "arn:${local.partition}:s3:::${local.names.bucket}/artifacts/sha256/*"
    bucket         = "arn:${local.partition}:s3:::${local.names.bucket}"
    dead_queues    = { for stage, name in local.names.dead_queues : stage => "arn:${local.partition}:sqs:${local._here}:${name}" }
    functions      = { for stage, name in local.names.functions : stage => "arn:${local.partition}:lambda:${local._here}:function:${name}" }
    index          = "arn:${local.partition}:dynamodb:${local._here}:table/${local.names.table}/index/due"
    log_groups     = { for stage, name in local.names.log_groups : stage => "arn:${local.partition}:logs:${local._here}:log-group:${name}" }
    queues         = { for stage, name in local.names.queues : stage => "arn:${local.partition}:sqs:${local._here}:${name}" }
    schedule_group = "arn:${local.partition}:scheduler:${local._here}:schedule-group/${local.names.schedule_group}"
    scheduler_role = "arn:${local.partition}:iam::${var.account}:role/${local.names.scheduler_role}"
    schedules      = "arn:${local.partition}:scheduler:${local._here}:schedule/${local.names.schedule_group}/*"
    secrets        = "arn:${local.partition}:${local._secret_store}${local._secret_path}*"
    otlp_headers   = "arn:${local.partition}:${local._secret_store}${local._secret_path}penstock_--_penstock--system_otlp--headers${var.secrets_store == "parameter-store" ? "" : "-??????"}"
    table          = "arn:${local.partition}:dynamodb:${local._here}:table/${local.names.table}"
    topics         = { for topic, name in local.names.topics : topic => "arn:${local.partition}:sns:${local._here}:${name}" }
  }

  # The same in each region that functions of this one reach.
  everywhere = {
    artifacts   = [for region in local._reach : "arn:${local.partition}:s3:::${local._buckets[region]}/artifacts/sha256/*"]
    buckets     = [for region in local._reach : "arn:${local.partition}:s3:::${local._buckets[region]}"]
    dead_queues = { for stage, arn in local.arns.dead_queues : stage => [for region in local._reach : replace(arn, ":${var.region}:", ":${region}:")] }
    indexes     = [for region in local._reach : replace(local.arns.index, ":${var.region}:", ":${region}:")]
    queues      = { for stage, arn in local.arns.queues : stage => [for region in local._reach : replace(arn, ":${var.region}:", ":${region}:")] }
    secrets     = [for region in local._reach : replace(local.arns.secrets, ":${var.region}:", ":${region}:")]
    tables      = [for region in local._reach : replace(local.arns.table, ":${var.region}:", ":${region}:")]
    topics      = { for topic, arn in local.arns.topics : topic => [for region in local._reach : replace(arn, ":${var.region}:", ":${region}:")] }
  }
}
