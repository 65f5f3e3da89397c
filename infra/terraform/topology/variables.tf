variable "pipeline_file" {
  description = "The topology to read. Null: the pipeline.json of this release, which is what its functions read too."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.pipeline_file == null || can(jsondecode(file(var.pipeline_file)).stages)
    error_message = "pipeline_file must be the path of a JSON file with an entry \"stages\", such as shared/penstock/pipeline.json."
  }
}

variable "sizes" {
  description = "By stage, what differs from pipeline.json and from the defaults: memory in MiB, concurrency in runs at once. Timeouts and attempts are not here: the functions themselves count by pipeline.json."
  type = map(object({
    concurrency = optional(number)
    memory      = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for size in values(var.sizes) : size.memory == null ? true : (
        size.memory >= 128 && size.memory <= 10240 && floor(size.memory) == size.memory
      )
    ])
    error_message = "sizes: memory is whole MiB, from 128 to 10240."
  }

  validation {
    condition = alltrue([
      for size in values(var.sizes) : size.concurrency == null ? true : (
        size.concurrency >= 1 && size.concurrency <= 1000 && floor(size.concurrency) == size.concurrency
      )
    ])
    error_message = "sizes: concurrency is a whole number from 1 to 1000."
  }
}
