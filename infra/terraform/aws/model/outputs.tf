output "arns" {
  description = "ARNs of everything, made of names: what policies need before the resources exist."
  value       = local.arns
}

output "bucket_policy" {
  description = "Policy of the bucket."
  value       = local.bucket_policy
}

output "by_hand" {
  description = "Secrets that are kept by hand: the Kubernetes Secret that each stands for."
  value       = local.by_hand
}

output "dashboard" {
  description = "Body of the dashboard."
  value       = local.dashboard
}

output "functions" {
  description = "By stage: name, handler in the bundle, environment, seconds, MiB, runs at once, trigger."
  value       = local.functions

  precondition {
    condition     = length(setsubtract(keys(var.environment), keys(module.topology.stages))) == 0
    error_message = "environment names stages that pipeline.json does not have: ${join(", ", setsubtract(keys(var.environment), keys(module.topology.stages)))}."
  }
}

output "home" {
  description = "The region of the plane's own, and whether it is this one."
  value       = { region = local.home, here = local.is_home }
}

output "names" {
  description = "Names of everything."
  value       = local.names

  precondition {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", local.names.bucket))
    error_message = "prefix ${var.prefix} makes no name of a bucket (lower-case letters, digits and hyphens): give the bucket a name."
  }
}

output "policies" {
  description = "By stage: the policy of its role, the whole of its rights."
  value       = local.policies

  precondition {
    condition     = alltrue([for policy in values(local.policies) : length(jsonencode(policy)) <= 10240])
    error_message = "IAM takes 10,240 characters of a role's policies. Longer are those of: ${join(", ", [for stage, policy in local.policies : stage if length(jsonencode(policy)) > 10240])}. Fewer regions, eks_clusters or sops_keys, or a shorter prefix, bring them below."
  }
}

output "queue_policies" {
  description = "By stage: the policy of its queue."
  value       = local.queue_policies
}

output "tls_policies" {
  description = "By dead letter queue, and by topic: its policy."
  value       = local.tls_policies
}

output "queues" {
  description = "See topology."
  value       = module.topology.queues
}

output "scheduler_policy" {
  description = "Policy of the role with which EventBridge Scheduler publishes."
  value       = local.scheduler_policy
}

output "subscriptions" {
  description = "See topology."
  value       = module.topology.subscriptions
}

output "trust" {
  description = "Who may become the functions' roles and the scheduler's."
  value       = local.trust
}
