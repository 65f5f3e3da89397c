variable "alarm_channels" {
  description = "Notification channels that alarms and the budget reach (projects/…/notificationChannels/…). None: alarms are only shown."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.alarm_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "alarm_channels are resource names: projects/<project>/notificationChannels/<id>."
  }
}

variable "bucket" {
  description = "Name of the bucket of artifacts. Null: <prefix>-<project>."
  type        = string
  default     = null
  nullable    = true
}

variable "budget" {
  description = "Amount a month, in the billing account's currency: told of at 80 % of it and when the forecast passes it. Null: no budget."
  type = object({
    amount          = number
    billing_account = string
    currency        = optional(string, "USD")
  })
  default  = null
  nullable = true

  validation {
    condition     = var.budget == null ? true : var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount && can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget needs a whole amount of at least 1, and a billing account such as 012345-6789AB-CDEF01."
  }
}

variable "bundle" {
  description = "Path of the functions' zip: functions/<stage>/main.py, and at its root the package penstock with all that it needs, and requirements.txt."
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

variable "database" {
  description = "Id of the Firestore database of most records. Null: <prefix>-state. Beside it the module makes <prefix>-hooks and <prefix>-index."
  type        = string
  default     = null
  nullable    = true
}

variable "deletion_protection" {
  description = "Whether `terraform destroy` stops at the database of records, at a bucket with artifacts, and at secrets."
  type        = bool
  default     = true
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

variable "gke_projects" {
  description = "Projects whose GKE clusters are reached by identity."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "labels" {
  description = "Further labels of all resources."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = !contains(keys(var.labels), "penstock")
    error_message = "labels: \"penstock\" is this module's own; its value is the prefix."
  }
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 3650 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "log_retention_days is a whole number from 1 to 3650."
  }
}

variable "prefix" {
  description = "What all names start with, and the value of the label \"penstock\". Two planes of one project have different ones."
  type        = string
  default     = "penstock"
  nullable    = false
}

variable "project" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of everything; of a plane in several, its home region."
  type        = string
  nullable    = false
}

variable "regions" {
  description = "Of a plane in several regions: all further ones, and what clusters there have of their own: projects whose GKE clusters are reached, secrets that are kept by hand, Cloud KMS keys."
  type = map(object({
    gke_projects = optional(set(string), [])
    secrets = optional(map(object({
      cluster   = string
      name      = string
      namespace = optional(string, "flux-system")
      reader    = string
    })), {})
    sops_keys = optional(map(string), {})
  }))
  default  = {}
  nullable = false
}

variable "runtime" {
  description = "The Python that the bundle was made for."
  type        = string
  default     = "python313"
  nullable    = false

  validation {
    condition     = contains(["python311", "python312", "python313"], var.runtime)
    error_message = "runtime is python311, python312 or python313."
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
  description = "Cloud KMS keys that files in Git are encrypted with, by any name of yours: projects/…/locations/…/keyRings/…/cryptoKeys/…."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "waiting_seconds" {
  description = "How long the oldest message to a stage may wait before an alarm."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.waiting_seconds >= 60
    error_message = "waiting_seconds is at least 60."
  }
}
