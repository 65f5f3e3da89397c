variable "account" {
  description = "AWS account, 12 digits."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account is 12 digits."
  }
}

variable "bucket" {
  description = "Name of the bucket of artifacts. Null: <prefix>-<account>-<region>."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "collector" {
  description = "Where functions send spans and metrics: base URL of an OTLP receiver over HTTP. credentials: its headers are in the plane's secret otlp-headers, which is made empty. Null: nowhere."
  type = object({
    credentials = optional(bool, false)
    endpoint    = string
  })
  default  = null
  nullable = true

  validation {
    condition     = var.collector == null ? true : can(regex("^https?://[^/@?#]+(/[^@?#]*)?$", var.collector.endpoint))
    error_message = "collector: endpoint is a URL of http or https without credentials: those belong into the secret."
  }
}

variable "eks_clusters" {
  description = "ARNs of the EKS clusters that are reached by identity and give no address of their own."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.eks_clusters : can(regex("^arn:[a-z-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9_-]+$", arn))])
    error_message = "eks_clusters are ARNs of EKS clusters: arn:aws:eks:<region>:<account>:cluster/<name>."
  }
}

variable "environment" {
  description = "By stage, further environment variables, such as PENSTOCK_ALLOWED_HOSTS. Not a place for secrets: whoever may look at a function's configuration reads them."
  type        = map(map(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(merge(values(var.environment)...)) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])
    error_message = "environment: ${join(", ", [for name in keys(merge(values(var.environment)...)) : name if !can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])}: Lambda takes names of letters, digits and _, two at least, a letter first."
  }

  validation {
    condition     = alltrue([for name in keys(merge(values(var.environment)...)) : !can(regex("^(AWS_|LAMBDA_|PENSTOCK_AWS_|PENSTOCK_BACKEND$|PENSTOCK_OTLP_HEADERS_SECRET$|TZ$)", name))])
    error_message = "environment: ${join(", ", [for name in keys(merge(values(var.environment)...)) : name if can(regex("^(AWS_|LAMBDA_|PENSTOCK_AWS_|PENSTOCK_BACKEND$|PENSTOCK_OTLP_HEADERS_SECRET$|TZ$)", name))])}: AWS_…, LAMBDA_… and TZ are Lambda's; PENSTOCK_AWS_…, PENSTOCK_BACKEND and PENSTOCK_OTLP_HEADERS_SECRET are this module's."
  }

  validation {
    condition     = alltrue([for name in keys(merge(values(var.environment)...)) : !can(regex(module.topology.secret_variables, name))])
    error_message = "environment: ${join(", ", [for name in keys(merge(values(var.environment)...)) : name if can(regex(module.topology.secret_variables, name))])}: secrets belong in Secrets Manager or Parameter Store, not in AZURE_CLIENT_SECRET, IDENTITY_HEADER, PENSTOCK_API_TOKEN, PENSTOCK_SECRET_…, VAULT_TOKEN or OTEL_…_HEADERS (collector)."
  }
}

variable "home_region" {
  description = "Of a plane in several regions: the one of the plane's own. Null: this one."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.home_region == null || can(regex("^[a-z]{2,3}(-[a-z]+)+-[0-9]$", var.home_region))
    error_message = "home_region is the name of an AWS region, such as eu-central-1."
  }
}

variable "pipeline_file" {
  description = "See topology."
  type        = string
  default     = null
  nullable    = true
}

variable "prefix" {
  description = "What all names start with. Two planes of one account and region have different ones."
  type        = string
  default     = "penstock"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,32}$", var.prefix))
    error_message = "prefix is 1 to 32 letters, digits, - or _ (names of roles end at 64 characters)."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,3}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is the name of an AWS region, such as eu-central-1."
  }
}

variable "regions" {
  description = "Of a plane in several regions: all further ones, the same in each instance of this module."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for region in var.regions : can(regex("^[a-z]{2,3}(-[a-z]+)+-[0-9]$", region))])
    error_message = "regions are names of AWS regions, such as eu-west-1."
  }

  validation {
    condition     = !contains(var.regions, coalesce(var.home_region, var.region)) && (coalesce(var.home_region, var.region) == var.region || contains(var.regions, var.region))
    error_message = "regions are the further ones: without home_region, and with the region of this instance where that is not home."
  }
}

variable "secrets" {
  description = "Secrets that are kept by hand, by any name of yours: the Kubernetes Secret that each stands for, and who reads it: fetch (credentials of sources), notify (of Providers), webhook (Receivers' tokens), or penstock, the plane itself (kubeconfigs, the api's token). cluster \"-\" is the plane's own. Only the empty secret is made: its value never passes through Terraform."
  type = map(object({
    cluster   = optional(string, "-")
    name      = string
    namespace = optional(string, "flux-system")
    reader    = optional(string, "penstock")
  }))
  default = {
    api-token = { name = "api-token", namespace = "penstock-system" }
  }
  nullable = false

  validation {
    condition     = !contains(keys(var.secrets), "otlp-headers")
    error_message = "secrets: otlp-headers is made by collector."
  }

  validation {
    condition = alltrue([
      for secret in values(var.secrets) : contains(secret.cluster == "-" ? ["fetch", "penstock"] : ["fetch", "notify", "webhook"], secret.reader)
    ])
    error_message = "secrets: reader is fetch, notify or webhook for a Secret of a cluster; for the plane's own (cluster \"-\") it is fetch (credentials of its source) or penstock."
  }

  validation {
    condition = alltrue(flatten([
      for secret in values(var.secrets) : [
        for part in [secret.name, secret.namespace, secret.cluster == "-" ? "a" : secret.cluster] :
        can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", part))
      ]
    ]))
    error_message = "secrets: cluster, namespace and name are Kubernetes names (or \"-\" for the plane's own)."
  }
}

variable "secrets_store" {
  description = "Where secrets are: secrets-manager, or parameter-store (SSM: cheaper, values of at most 8 KiB)."
  type        = string
  default     = "secrets-manager"
  nullable    = false

  validation {
    condition     = contains(["parameter-store", "secrets-manager"], var.secrets_store)
    error_message = "secrets_store is secrets-manager or parameter-store."
  }

  validation {
    condition     = var.secrets_store == "secrets-manager" || !can(regex("(?i)^(aws|ssm)", var.prefix))
    error_message = "secrets_store: names in Parameter Store may not start with aws or ssm, as this prefix does."
  }
}

variable "sizes" {
  description = "See topology."
  type = map(object({
    concurrency = optional(number)
    memory      = optional(number)
  }))
  default  = {}
  nullable = false
}

variable "sops_keys" {
  description = "ARNs of the KMS keys that files in Git are encrypted with."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.sops_keys : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "sops_keys are ARNs of KMS keys (an alias is no resource of a policy): arn:aws:kms:<region>:<account>:key/<id>."
  }
}
