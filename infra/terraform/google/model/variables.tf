variable "bucket" {
  description = "Name of the bucket of artifacts. Null: <prefix>-<project>."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is 3 to 63 lower-case letters, digits, dots, underscores and hyphens."
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

variable "database" {
  description = "Id of the Firestore database of most records. Null: <prefix>-state. Beside it the module makes <prefix>-hooks and <prefix>-index."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.database == null || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database is 4 to 63 lower-case letters, digits and hyphens; the plane does not share (default) with others."
  }
}

variable "environment" {
  description = "By stage, further environment variables, such as PENSTOCK_ALLOWED_HOSTS. Not a place for secrets: whoever may look at a function's configuration reads them."
  type        = map(map(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(merge(values(var.environment)...)) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])
    error_message = "environment: ${join(", ", [for name in keys(merge(values(var.environment)...)) : name if !can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])}: Cloud Run takes names of letters, digits and _, two at least, a letter first."
  }

  validation {
    condition     = alltrue([for name in keys(merge(values(var.environment)...)) : !can(regex("^(CLOUD_RUN_|FUNCTION_|GOOGLE_CLOUD_PROJECT$|K_|PENSTOCK_BACKEND$|PENSTOCK_GOOGLE_(BUCKET|DATABASE|HOME_REGION|PREFIX|REGION|REGIONS|TASKS_ACCOUNT)$|PENSTOCK_OTLP_HEADERS_SECRET$|PORT$|PYTHONPATH$|X_GOOGLE_)", name))])
    error_message = "environment: ${join(", ", [for name in keys(merge(values(var.environment)...)) : name if can(regex("^(CLOUD_RUN_|FUNCTION_|GOOGLE_CLOUD_PROJECT$|K_|PENSTOCK_BACKEND$|PENSTOCK_GOOGLE_(BUCKET|DATABASE|HOME_REGION|PREFIX|REGION|REGIONS|TASKS_ACCOUNT)$|PENSTOCK_OTLP_HEADERS_SECRET$|PORT$|PYTHONPATH$|X_GOOGLE_)", name))])}: CLOUD_RUN_…, FUNCTION_…, K_…, PORT and X_GOOGLE_… are Cloud Run's; PYTHONPATH, PENSTOCK_OTLP_HEADERS_SECRET and what says where the plane is this module's."
  }

  validation {
    condition     = alltrue([for name in keys(merge(values(var.environment)...)) : !can(regex(module.topology.secret_variables, name))])
    error_message = "environment: ${join(", ", [for name in keys(merge(values(var.environment)...)) : name if can(regex(module.topology.secret_variables, name))])}: secrets belong in Secret Manager, not in AZURE_CLIENT_SECRET, IDENTITY_HEADER, PENSTOCK_API_TOKEN, PENSTOCK_SECRET_…, VAULT_TOKEN or OTEL_…_HEADERS (collector)."
  }
}

variable "gke_projects" {
  description = "Projects whose GKE clusters are reached by identity."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for project in var.gke_projects : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", project))])
    error_message = "gke_projects are ids of projects."
  }
}

variable "number" {
  description = "Number of the project: what Google's own accounts, and the names of secrets in conditions, are made of."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{6,19}$", var.number))
    error_message = "number is the project's number, not its id."
  }
}

variable "pipeline_file" {
  description = "See topology."
  type        = string
  default     = null
  nullable    = true
}

variable "prefix" {
  description = "What all names start with. Two planes of one project have different ones."
  type        = string
  default     = "penstock"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.prefix))
    error_message = "prefix is 2 to 20 lower-case letters, digits and hyphens, a letter first (names of service accounts end at 30 characters)."
  }
}

variable "project" {
  description = "Id of the project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is the project's id, such as acme-prod, not its number."
  }
}

variable "region" {
  description = "Region of everything; of a plane in several, its home region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region is the name of a region, such as europe-west3, not of a zone."
  }
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

  validation {
    condition     = alltrue([for region in keys(var.regions) : can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", region))])
    error_message = "regions are names of regions, such as us-central1, not of zones."
  }

  validation {
    condition     = !contains(keys(var.regions), var.region)
    error_message = "regions are the further ones: without region, which is home."
  }

  validation {
    condition     = length(var.regions) < 20
    error_message = "regions: at most 19 further ones (IAM takes 20 conditions of one member and role)."
  }

  validation {
    condition     = alltrue(flatten([for region in values(var.regions) : [for project in region.gke_projects : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", project))]]))
    error_message = "regions: gke_projects are ids of projects."
  }

  validation {
    condition     = alltrue(flatten([for region in values(var.regions) : [for key in values(region.sops_keys) : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", key))]]))
    error_message = "regions: sops_keys are resource names of keys, not of versions: projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>."
  }

  validation {
    condition = alltrue(flatten([
      for region in values(var.regions) : [
        for secret in values(region.secrets) : [
          for part in [secret.cluster, secret.namespace, secret.name] : can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", part))
        ]
      ]
    ]))
    error_message = "regions: secrets are of a cluster there: cluster, namespace and name are Kubernetes names. The plane's own (\"-\") are at home."
  }

  validation {
    condition     = alltrue(flatten([for region in values(var.regions) : [for secret in values(region.secrets) : contains(["fetch", "notify", "webhook"], secret.reader)]]))
    error_message = "regions: reader of secrets is fetch, notify or webhook: the stage that reads it."
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
  description = "Cloud KMS keys that files in Git are encrypted with, by any name of yours (a map, so that a key may be made in the same apply): projects/…/locations/…/keyRings/…/cryptoKeys/…."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in values(var.sops_keys) : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", key))])
    error_message = "sops_keys are resource names of keys, not of versions: projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>."
  }
}
