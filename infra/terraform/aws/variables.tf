variable "alarm_actions" {
  description = "ARNs that alarms notify, such as an SNS topic of yours. None: alarms are only shown."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.alarm_actions) <= 5 && alltrue([for arn in var.alarm_actions : startswith(arn, "arn:")])
    error_message = "alarm_actions are ARNs, five at most (CloudWatch takes no more of one alarm)."
  }
}

variable "architecture" {
  description = "Of the bundle's compiled parts: x86_64 or arm64."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is x86_64 or arm64."
  }
}

variable "bucket" {
  description = "Name of the bucket of artifacts. Null: <prefix>-<account>-<region>."
  type        = string
  default     = null
  nullable    = true
}

variable "budget" {
  description = "Dollars a month, and who is told at 80 % of them and when the forecast passes them. Null: no budget."
  type = object({
    dollars = number
    emails  = list(string)
  })
  default  = null
  nullable = true

  validation {
    condition     = var.budget == null ? true : var.budget.dollars > 0 && length(var.budget.emails) > 0 && length(var.budget.emails) <= 10 && alltrue([for email in var.budget.emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "budget needs more than 0 dollars, and one to ten e-mail addresses."
  }
}

variable "bundle" {
  description = "Path of the functions' zip: functions/<stage>/lambda_handler.py, and at its root the package penstock with all that it needs."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.bundle, ".zip") && fileexists(var.bundle)
    error_message = "bundle is the path of a zip that exists."
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
}

variable "deletion_protection" {
  description = "Whether `terraform destroy` stops at the table of records and at a bucket with artifacts, and secrets can be restored for 30 days."
  type        = bool
  default     = true
  nullable    = false
}

variable "eks_clusters" {
  description = "ARNs of the EKS clusters that are reached by identity and give no address of their own."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "environment" {
  description = "By stage, further environment variables, such as PENSTOCK_ALLOWED_HOSTS. Secrets, names that the platform keeps for itself and what this module sets are refused."
  type        = map(map(string))
  default     = {}
  nullable    = false
}

variable "failures" {
  description = "How many runs of a stage, or requests to one, may fail in ten minutes before an alarm."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.failures >= 0
    error_message = "failures is not below 0."
  }
}

variable "home_region" {
  description = "Of a plane in several regions: the one of the plane's own. Null: this one."
  type        = string
  default     = null
  nullable    = true
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds all roles, where your organization asks for one."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary))
    error_message = "permissions_boundary is the ARN of a policy: arn:aws:iam::<account>:policy/<name>."
  }
}

variable "prefix" {
  description = "What all names start with, and the value of the tag \"penstock\". Two planes of one account and region have different ones."
  type        = string
  default     = "penstock"
  nullable    = false
}

variable "regions" {
  description = "Of a plane in several regions: all further ones, the same in each instance of this module."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "reserve_concurrency" {
  description = "Whether each function's concurrency is reserved for it: bounds what a flood of requests can cost. It needs an account whose limit leaves 100 unreserved."
  type        = bool
  default     = true
  nullable    = false
}

variable "runtime" {
  description = "Lambda's Python that the bundle was made for."
  type        = string
  default     = "python3.13"
  nullable    = false

  validation {
    condition     = contains(["python3.12", "python3.13"], var.runtime)
    error_message = "runtime is python3.12 or python3.13."
  }
}

variable "secrets" {
  description = "Secrets that are kept by hand, by any name of yours: the Kubernetes Secret that each stands for, and who reads it: fetch (credentials of sources), notify (of Providers), webhook (Receivers' tokens), or penstock, the plane itself (kubeconfigs, the api's token). cluster \"-\" is the plane's own. Only the empty secret is made."
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
}

variable "secrets_store" {
  description = "Where secrets are: secrets-manager, or parameter-store (SSM: cheaper, values of at most 8 KiB). Those that are kept by hand are not made there: a parameter cannot be empty."
  type        = string
  default     = "secrets-manager"
  nullable    = false
}

variable "sizes" {
  description = "By stage, what differs from pipeline.json and from the defaults: memory in MiB, concurrency in runs at once."
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
}

variable "tags" {
  description = "Further tags of all resources."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = !contains(keys(var.tags), "penstock")
    error_message = "tags: \"penstock\" is this module's own; its value is the prefix."
  }
}

variable "waiting_seconds" {
  description = "How long the oldest message of a queue may wait before an alarm."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.waiting_seconds >= 60
    error_message = "waiting_seconds is at least 60."
  }
}
