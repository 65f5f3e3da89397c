# topology's verbs as IAM statements. A statement without a resource falls away, so each line says for whom it is.

locals {
  # Marks copies that the plane made (docs/aws.md, Secrets): what has none cannot be overwritten or removed.
  _owner = "penstock.dev/owner"

  # Parameter Store has one call for a new parameter and for a new value: of the first the tag is asked in the request,
  # of the second on the parameter.
  _secret_actions = {
    secrets-manager = {
      read   = ["secretsmanager:GetSecretValue"]
      look   = ["secretsmanager:DescribeSecret"]
      make   = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
      change = ["secretsmanager:DeleteSecret", "secretsmanager:PutSecretValue"]
    }
    parameter-store = {
      read   = ["ssm:GetParameter"]
      look   = ["ssm:ListTagsForResource"]
      make   = ["ssm:AddTagsToResource", "ssm:PutParameter"]
      change = ["ssm:DeleteParameter", "ssm:PutParameter"]
    }
  }[var.secrets_store]

  statements = {
    for stage, right in module.topology.rights : stage => [
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
          Resource = contains(right.verbs.state, "read") ? local.everywhere.tables : []
        },
        {
          Sid      = "WriteRecords"
          Effect   = "Allow"
          Action   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
          Resource = contains(right.verbs.state, "write") ? (local.is_home ? local.everywhere.tables : [local.arns.table]) : []
        },
        {
          # Of a further region's functions: the index of Receivers, and the plane's own source, are at home.
          Sid      = "WriteAtHome"
          Effect   = "Allow"
          Action   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
          Resource = contains(right.verbs.state, "write") && !local.is_home ? slice(local.everywhere.tables, 1, length(local.everywhere.tables)) : []
          Condition = {
            "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["object/-", "receiver", "status/-", "+object/-/*", "+receiver/*", "+status/-/*"] }
            Null                      = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          Sid      = "ReadHooks"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:Query"]
          Resource = contains(right.verbs.state, "read-hooks") ? local.everywhere.tables : []
          Condition = {
            "ForAllValues:StringLike" = {
              "dynamodb:LeadingKeys" = ["delivery", "object/*", "receiver", "+delivery/*", "+object/*", "+receiver/*"]
            }
            Null = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          Sid      = "WriteDeliveries"
          Effect   = "Allow"
          Action   = ["dynamodb:PutItem"]
          Resource = contains(right.verbs.state, "write-deliveries") ? local.everywhere.tables : []
          Condition = {
            "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["delivery"] }
            Null                      = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        {
          Sid      = "ListAllRecords"
          Effect   = "Allow"
          Action   = ["dynamodb:Scan"]
          Resource = contains(right.verbs.state, "scan") ? local.everywhere.tables : []
        },
        {
          Sid      = "FindWhatIsDue"
          Effect   = "Allow"
          Action   = ["dynamodb:Query"]
          Resource = contains(right.verbs.state, "due") ? local.everywhere.indexes : []
        },
        {
          Sid      = "ReadArtifacts"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = contains(right.verbs.storage, "read") ? local.everywhere.artifacts : []
        },
        {
          # Also for those that read: without it a missing artifact reads as 403.
          Sid      = "ListArtifacts"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = length(setintersection(right.verbs.storage, ["read", "list"])) > 0 ? local.everywhere.buckets : []
        },
        {
          Sid      = "WriteArtifacts"
          Effect   = "Allow"
          Action   = ["s3:PutObject"]
          Resource = contains(right.verbs.storage, "write") ? local.everywhere.artifacts : []
        },
        {
          Sid      = "CollectArtifacts"
          Effect   = "Allow"
          Action   = ["s3:DeleteObject"]
          Resource = contains(right.verbs.storage, "delete") ? local.everywhere.artifacts : []
        },
        {
          Sid      = "ReadSecrets"
          Effect   = "Allow"
          Action   = local._secret_actions.read
          Resource = contains(right.verbs.secrets, "read") ? local.everywhere.secrets : []
        },
        {
          # Of those that may read no others; a further region's have home's with all that they read.
          Sid      = "ReadCollectorsHeaders"
          Effect   = "Allow"
          Action   = local._secret_actions.read
          Resource = local._credentials && !contains(right.verbs.secrets, "read") ? [local.arns.otlp_headers] : []
        },
        {
          Sid      = "LookAtSecrets"
          Effect   = "Allow"
          Action   = local._secret_actions.look
          Resource = contains(right.verbs.secrets, "write") ? [local.arns.secrets] : []
        },
        {
          Sid       = "MakeMarkedSecrets"
          Effect    = "Allow"
          Action    = local._secret_actions.make
          Resource  = contains(right.verbs.secrets, "write") ? [local.arns.secrets] : []
          Condition = { Null = { "aws:RequestTag/${local._owner}" = "false" } }
        },
        {
          Sid       = "ChangeMarkedSecrets"
          Effect    = "Allow"
          Action    = local._secret_actions.change
          Resource  = contains(right.verbs.secrets, "write") ? [local.arns.secrets] : []
          Condition = { Null = { "aws:ResourceTag/${local._owner}" = "false" } }
        },
        {
          Sid      = "Publish"
          Effect   = "Allow"
          Action   = ["sns:Publish"]
          Resource = flatten([for topic in right.publishes : local.everywhere.topics[topic]])
        },
        {
          Sid      = "PutOff"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = flatten([for other in right.delays_to : local.everywhere.queues[other]])
        },
        {
          Sid      = "PutOffForLong"
          Effect   = "Allow"
          Action   = ["scheduler:CreateSchedule"]
          Resource = length(right.delays) > 0 ? [local.arns.schedules] : []
        },
        {
          Sid       = "LetTheSchedulerPublish"
          Effect    = "Allow"
          Action    = ["iam:PassRole"]
          Resource  = length(right.delays) > 0 ? [local.arns.scheduler_role] : []
          Condition = { StringEquals = { "iam:PassedToService" = "scheduler.amazonaws.com" } }
        },
        {
          Sid      = "Consume"
          Effect   = "Allow"
          Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
          Resource = right.consumes ? [local.arns.queues[stage]] : []
        },
        {
          Sid      = "GiveUp"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = right.consumes ? [local.arns.dead_queues[stage]] : []
        },
        {
          Sid      = "FindLostMessages"
          Effect   = "Allow"
          Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"]
          Resource = flatten([for other in right.dead_letters_of : local.everywhere.dead_queues[other]])
        },
        {
          Sid      = "FindClusters"
          Effect   = "Allow"
          Action   = ["eks:DescribeCluster"]
          Resource = contains(right.verbs.clusters, "reach") ? sort(var.eks_clusters) : []
        },
        {
          Sid      = "Decrypt"
          Effect   = "Allow"
          Action   = ["kms:Decrypt"]
          Resource = contains(right.verbs.keys, "decrypt") ? sort(var.sops_keys) : []
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
