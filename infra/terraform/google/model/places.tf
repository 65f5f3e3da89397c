# What is in each region.

locals {
  places = {
    for region in local.everywhere : region => {
      bucket = "${coalesce(var.bucket, "${var.prefix}-${var.project}")}${local.suffix[region]}"
      # What webhook writes, what it reads, and all else: Firestore's conditions end at a database.
      databases = {
        hooks = "${var.prefix}-hooks${local.suffix[region]}"
        index = "${var.prefix}-index${local.suffix[region]}"
        state = "${coalesce(var.database, "${var.prefix}-state")}${local.suffix[region]}"
      }
      dead_topics = { for stage in keys(module.topology.queues) : stage => "${var.prefix}-${stage}-dead${local.suffix[region]}" }
      logs        = "${var.prefix}${local.suffix[region]}"
      secrets = {
        for key, secret in region == var.region ? local.by_hand : var.regions[region].secrets :
        key => "${local.secret[region]}${secret.reader}_${join("_", [for part in [secret.cluster, secret.namespace, secret.name] : replace(replace(part, "-", "--"), ".", "-d")])}"
      }
      subscriptions = { for key, one in local.subscriptions_of_each : key => "${var.prefix}-${one.stage}-${one.topic}${local.suffix[region]}" }
      tasks_account = "tasks${local.at[region]}" # key of accounts
      tasks_queue   = "${var.prefix}-delay"      # a queue's name is its region's
      topics        = { for topic in module.topology.topics : topic => "${var.prefix}-${topic}${local.suffix[region]}" }
    }
  }

  # Each by its key, in one map over all regions.
  dead_topics = merge([
    for region, place in local.places : { for stage, name in place.dead_topics : "${stage}${local.at[region]}" => { name = name, region = region, stage = stage } }
  ]...)
  databases = merge([
    for region, place in local.places : {
      for part, name in place.databases : part == "state" ? region : "${part}@${region}" => { name = name, part = part, region = region }
    }
  ]...)
  secrets = merge([
    for region, place in local.places : { for key, name in place.secrets : "${key}${local.at[region]}" => { name = name, region = region } }
  ]...)
  topics = merge([
    for region, place in local.places : { for topic, name in place.topics : "${topic}${local.at[region]}" => { name = name, region = region } }
  ]...)
}
