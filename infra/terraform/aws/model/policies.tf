# topology's verbs as IAM statements. A statement without a resource falls away, so each line says for whom it is.

locals {
  # Marks copies that the plane made (docs/aws.md, Secrets): what has none cannot be overwritten or removed.
  owner = "penstock.dev/owner"

  # Parameter Store has one call for a new parameter and for a new value: of the first the tag is asked in the request,
  # of the second on the parameter.
  secret_actions = {
    secrets-manager = {
      read   = ["secretsmanager:GetSecretValue"]
      look   = ["secretsmanager:DescribeSecret"]
      make   = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
      change = ["secretsmanager:DeleteSecret", "secretsmanager:PutSecretValue"]
      remove = ["secretsmanager:DeleteSecret"]
    }
    parameter-store = {
      read   = ["ssm:GetParameter"]
      look   = ["ssm:ListTagsForResource"]
      make   = ["ssm:AddTagsToResource", "ssm:PutParameter"]
      change = ["ssm:DeleteParameter", "ssm:PutParameter"]
      remove = ["ssm:DeleteParameter"]
    }
  }[var.secrets_store]

  # What a stage does in each region that it reaches: in its own all of it, in another what it has to do there.
  reached = {
    for stage, right in module.topology.rights : stage => merge(
      { (var.region) = { publishes = right.publishes, verbs = right.verbs } },
      { for region in local.reach : region => right.elsewhere[local.is_home ? "further" : "home"] if region != var.region },
    )
  }

  # By stage and "<port>/<verb>": where it may.
  where = {
    for stage, regions in local.reached : stage => {
      for one in flatten([
        for region, does in regions : [for port, verbs in does.verbs : [for verb in verbs : { region = region, what = "${port}/${verb}" }]]
      ]) : one.what => local.at[one.region]...
    }
  }

  # reconcile's copies: names of those that read them.
  copies = [for reader in module.topology.secret_readers : local.arns.secrets[reader]]

  statements = {
    for stage, may in local.where : stage => [
      for statement in [
        {
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${local.arns.log_groups[stage]}:*"]
        },
        {
          Sid      = "ReadRecords"
          Effect   = "Allow"
          Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
          Resource = [for at in try(may["state/read"], []) : at.table]
        },
        {
          Sid      = "WriteRecords"
          Effect   = "Allow"
          Action   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
          Resource = [for at in try(may["state/write"], []) : at.table]
        },
        {
          # Of a further region's functions: the index of Receivers is at home.
          Sid      = "WriteAtHome"
          Effect   = "Allow"
          Action   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
          Resource = [for at in try(may["state/index"], []) : at.table if at.region != var.region]
          Condition = {
            "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["receiver", "+receiver/*"] }
            Null                      = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          Sid      = "ReadHooks"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:Query"]
          Resource = [for at in try(may["state/read-hooks"], []) : at.table]
          Condition = {
            "ForAllValues:StringLike" = {
              # in several regions, the Plane too: which cluster is where
              "dynamodb:LeadingKeys" = concat(
                ["delivery", "object/*", "receiver", "+delivery/*", "+object/*", "+receiver/*"],
                length(var.regions) > 0 ? ["plane", "+plane"] : [],
              )
            }
            Null = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          # In other regions than its own: notify's Alerts and Providers, and which cluster is where.
          Sid      = "ReadIndex"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:Query"]
          Resource = [for at in try(may["state/read-index"], []) : at.table]
          Condition = {
            "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["object/*", "plane", "receiver", "+object/*", "+plane", "+receiver/*"] }
            Null                      = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          Sid      = "WriteDeliveries"
          Effect   = "Allow"
          Action   = ["dynamodb:PutItem"]
          Resource = [for at in try(may["state/write-deliveries"], []) : at.table]
          Condition = {
            "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["delivery"] }
            Null                      = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          Sid      = "ListAllRecords"
          Effect   = "Allow"
          Action   = ["dynamodb:Scan"]
          Resource = [for at in try(may["state/scan"], []) : at.table]
        },
        {
          Sid      = "FindWhatIsDue"
          Effect   = "Allow"
          Action   = ["dynamodb:Query"]
          Resource = [for at in try(may["state/due"], []) : at.index]
        },
        {
          Sid      = "ReadArtifacts"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = [for at in try(may["storage/read"], []) : at.artifacts]
        },
        {
          # Also for those that read: without it a missing artifact reads as 403.
          Sid      = "ListArtifacts"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = distinct([for at in concat(try(may["storage/read"], []), try(may["storage/list"], [])) : at.bucket])
        },
        {
          Sid      = "WriteArtifacts"
          Effect   = "Allow"
          Action   = ["s3:PutObject"]
          Resource = [for at in try(may["storage/write"], []) : at.artifacts]
        },
        {
          Sid      = "CollectArtifacts"
          Effect   = "Allow"
          Action   = ["s3:DeleteObject"]
          Resource = [for at in try(may["storage/delete"], []) : at.artifacts]
        },
        {
          Sid    = "ReadSecrets"
          Effect = "Allow"
          Action = local.secret_actions.read
          Resource = concat(
            [for at in try(may["secrets/read-mine"], []) : at.secrets[stage]],
            flatten([for at in try(may["secrets/read"], []) : values(at.secrets)]),
            [for at in try(may["secrets/read-token"], []) : local.own_secret["api--token"] if at.region == var.region],
            # a further region's reconcile: the api's token, and kubeconfigs that operators keep for clusters there
            [for at in try(may["secrets/read-token"], []) : "${local.secrets_of[at.region]}penstock_--_*" if at.region != var.region],
          )
        },
        {
          # At home. Of those that do not read all of the plane's own.
          Sid      = "ReadCollectorsHeaders"
          Effect   = "Allow"
          Action   = local.secret_actions.read
          Resource = local.credentials && !contains(keys(may), "secrets/read") ? [local.own_secret["otlp--headers"]] : []
        },
        {
          Sid      = "LookAtSecrets"
          Effect   = "Allow"
          Action   = local.secret_actions.look
          Resource = contains(keys(may), "secrets/write") ? values(local.arns.secrets) : []
        },
        {
          Sid       = "MakeMarkedSecrets"
          Effect    = "Allow"
          Action    = local.secret_actions.make
          Resource  = contains(keys(may), "secrets/write") ? local.copies : []
          Condition = { Null = { "aws:RequestTag/${local.owner}" = "false" } }
        },
        {
          Sid       = "ChangeMarkedSecrets"
          Effect    = "Allow"
          Action    = local.secret_actions.change
          Resource  = contains(keys(may), "secrets/write") ? local.copies : []
          Condition = { Null = { "aws:ResourceTag/${local.owner}" = "false" } }
        },
        {
          # Copies are of a cluster: what stands under "-" an operator has made.
          Sid      = "LeaveWhatIsNoCopy"
          Effect   = "Deny"
          Action   = concat(local.secret_actions.make, local.secret_actions.change)
          Resource = contains(keys(may), "secrets/write") ? [for reader in local.readers : "${local.secrets_of[var.region]}${reader}_--_*"] : []
        },
        {
          # Such as the login of the plane's own source, which is for fetch.
          Sid      = "LeaveWhatIsForOthers"
          Effect   = "Deny"
          Action   = local.secret_actions.read
          Resource = contains(keys(may), "secrets/write") ? [for reader in module.topology.secret_readers : "${local.secrets_of[var.region]}${reader}_--_*"] : []
        },
        {
          # Copies that a release made whose names had no reader.
          Sid       = "RemoveFormerCopies"
          Effect    = "Allow"
          Action    = local.secret_actions.remove
          Resource  = contains(keys(may), "secrets/write") ? [local.arns.secrets["penstock"]] : []
          Condition = { Null = { "aws:ResourceTag/${local.owner}" = "false" } }
        },
        {
          Sid      = "Publish"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = flatten([for region, does in local.reached[stage] : [for topic in does.publishes : local.at[region].topics[topic]]])
        },
        {
          Sid      = "PutOff"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [for other in module.topology.rights[stage].delays_to : local.arns.queues[other]]
        },
        {
          Sid      = "PutOffForLong"
          Effect   = "Allow"
          Action   = ["scheduler:CreateSchedule"]
          Resource = length(module.topology.rights[stage].delays) > 0 ? [local.arns.schedules] : []
        },
        {
          Sid       = "LetTheSchedulerPublish"
          Effect    = "Allow"
          Action    = ["iam:PassRole"]
          Resource  = length(module.topology.rights[stage].delays) > 0 ? [local.arns.scheduler_role] : []
          Condition = { StringEquals = { "iam:PassedToService" = "scheduler.amazonaws.com" } }
        },
        {
          Sid      = "Consume"
          Effect   = "Allow"
          Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
          Resource = module.topology.rights[stage].consumes ? [local.arns.queues[stage]] : []
        },
        {
          Sid      = "GiveUp"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = module.topology.rights[stage].consumes ? [local.arns.dead_queues[stage]] : []
        },
        {
          Sid      = "FindLostMessages"
          Effect   = "Allow"
          Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
          Resource = flatten([for other in module.topology.rights[stage].dead_letters_of : [for at in local.at : at.dead_queues[other]]])
        },
        {
          Sid      = "FindClusters"
          Effect   = "Allow"
          Action   = ["eks:DescribeCluster"]
          Resource = contains(keys(may), "clusters/reach") ? sort(var.eks_clusters) : []
        },
        {
          Sid      = "Decrypt"
          Effect   = "Allow"
          Action   = ["kms:Decrypt"]
          Resource = contains(keys(may), "keys/decrypt") ? sort(var.sops_keys) : []
        },
      ] : statement if length(statement.Resource) > 0
    ]
  }

  policies = {
    for stage, statements in local.statements : stage => { Version = "2012-10-17", Statement = statements }
    if contains(keys(local.functions), stage)
  }

  # A queue takes messages of its stage's topics; what functions send is in their own policies.
  queue_policies = {
    for stage, queue in module.topology.queues : stage => {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Topics"
          Effect    = "Allow"
          Action    = "sqs:SendMessage"
          Principal = { Service = "sns.amazonaws.com" }
          Resource  = local.arns.queues[stage]
          Condition = { ArnEquals = { "aws:SourceArn" = [for topic in queue.topics : local.arns.topics[topic]] } }
        },
        {
          Sid       = "OnlyTls"
          Effect    = "Deny"
          Action    = "sqs:*"
          Principal = "*"
          Resource  = local.arns.queues[stage]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    }
  }

  # What nobody but this account's roles may use anyway: not over plain HTTP either.
  tls_policies = {
    for kind, arns in { dead_queues = local.arns.dead_queues, topics = local.arns.topics } : kind => {
      for name, arn in arns : name => {
        Version = "2012-10-17"
        Statement = [{
          Sid       = "OnlyTls"
          Effect    = "Deny"
          Action    = kind == "topics" ? "sns:Publish" : "sqs:*"
          Principal = "*"
          Resource  = arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        }]
      }
    }
  }

  bucket_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Action    = "s3:*"
      Principal = "*"
      Resource  = [local.arns.bucket, "${local.arns.bucket}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  }

  # EventBridge Scheduler publishes what was put off for long: to topics, nothing else.
  scheduler_policy = {
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Publish"
      Effect   = "Allow"
      Action   = ["sns:Publish"]
      Resource = sort([for topic in distinct(flatten([for right in module.topology.rights : right.delays])) : local.arns.topics[topic]])
    }]
  }

  # Who may become a role: one service, and the scheduler only for schedules of this plane's group.
  trust = {
    functions = {
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
    }
    scheduler = {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "scheduler.amazonaws.com" }
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account, "aws:SourceArn" = local.arns.schedule_group }
        }
      }]
    }
  }
}
