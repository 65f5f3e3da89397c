# One row a stage: runs and errors, duration, and for those with a queue what waits and what was given up.

locals {
  panels = {
    for stage in keys(local.functions) : stage => concat(
      [
        {
          title = "${stage}: runs, errors, throttles"
          stat  = "Sum"
          metrics = [
            for metric in ["Invocations", "Errors", "Throttles"] :
            ["AWS/Lambda", metric, "FunctionName", local.names.functions[stage]]
          ]
        },
        {
          title   = "${stage}: duration (ms, 95th percentile)"
          stat    = "p95"
          metrics = [["AWS/Lambda", "Duration", "FunctionName", local.names.functions[stage]]]
        },
      ],
      [
        for queue in compact([lookup(local.names.queues, stage, "")]) : {
          title = "${stage}: waiting, age of the oldest (s), dead letters"
          stat  = "Maximum"
          metrics = [
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue],
            ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue],
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.names.dead_queues[stage]],
          ]
        }
      ],
    )
  }

  dashboard = {
    widgets = flatten([
      for row, stage in keys(local.panels) : [
        for column, panel in local.panels[stage] : {
          type   = "metric"
          x      = 8 * column
          y      = 6 * row
          width  = 8
          height = 6
          properties = {
            metrics = panel.metrics
            period  = 60
            region  = var.region
            stat    = panel.stat
            title   = panel.title
            view    = "timeSeries"
          }
        }
      ]
    ])
  }
}
