# One a region, with a row for each of its stages: runs by answer, duration, and for those that are pushed to, what waits and what was given up.

locals {
  function_metric = {
    for key, function in local.functions : key => "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${function.name}\" AND resource.labels.location=\"${function.region}\""
  }

  charts = {
    for key, function in local.functions : key => concat(
      [
        {
          title   = "${function.stage}: requests by answer"
          filters = ["metric.type=\"run.googleapis.com/request_count\" AND ${local.function_metric[key]}"]
          aligner = "ALIGN_RATE"
          reducer = "REDUCE_SUM"
          by      = ["metric.label.response_code_class"]
        },
        {
          title   = "${function.stage}: latency (ms, 95th percentile)"
          filters = ["metric.type=\"run.googleapis.com/request_latencies\" AND ${local.function_metric[key]}"]
          aligner = "ALIGN_DELTA"
          reducer = "REDUCE_PERCENTILE_95"
          by      = []
        },
      ],
      [
        for subscriptions in [[for one in local.subscriptions : one.name if one.function == key && !one.of_dead]] : {
          title = "${function.stage}: age of the oldest (s), dead letters"
          filters = concat(
            [for name in subscriptions : "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${name}\""],
            ["metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${try(local.dead_topics[key].name, "")}\""],
          )
          aligner = "ALIGN_MAX"
          reducer = "REDUCE_MAX"
          by      = ["resource.label.subscription_id"]
        } if length(subscriptions) > 0
      ],
    )
  }

  dashboards = { for region in local.everywhere : region => {
    displayName = local.of[region]
    mosaicLayout = {
      columns = 48
      tiles = flatten([
        for row, key in [for key, function in local.functions : key if function.region == region] : [
          for column, chart in local.charts[key] : {
            xPos   = 16 * column
            yPos   = 12 * row
            width  = 16
            height = 12
            widget = {
              title = chart.title
              xyChart = {
                dataSets = [
                  for filter in chart.filters : {
                    plotType = "LINE"
                    timeSeriesQuery = {
                      timeSeriesFilter = {
                        filter = filter
                        aggregation = {
                          alignmentPeriod    = "60s"
                          crossSeriesReducer = chart.reducer
                          groupByFields      = chart.by
                          perSeriesAligner   = chart.aligner
                        }
                      }
                    }
                  }
                ]
              }
            }
          }
        ]
      ])
    }
  } }
}
