# Topics, the queues behind them, and who is subscribed to what.

locals {
  topics = toset(flatten([for stage in local.stages : concat(stage.publishes, stage.subscribes)]))

  queues = {
    for name, stage in local.stages : name => {
      attempts = stage.attempts
      # One message a run: in a batch the others would wait for one that takes long, or for a provider that hangs, and use up
      # attempts without one.
      batch       = 1
      concurrency = max(2, stage.concurrency)
      ordered     = stage.ordered
      timeout     = stage.timeout
      topics      = stage.subscribes
      # Six times the function's timeout, as AWS asks for: retries of a throttled poller fit in.
      visibility = min(6 * stage.timeout, local.longest_visibility)
    } if stage.trigger == "topic"
  }

  subscribers = {
    for topic in local.topics : topic => [for name, queue in local.queues : name if contains(queue.topics, topic)]
  }

  # Whole topics: on AWS they are another kind of topic.
  ordered_topics = toset(flatten([for queue in values(local.queues) : queue.topics if queue.ordered]))

  subscriptions = merge([
    for name, queue in local.queues : {
      for topic in queue.topics : "${topic}/${name}" => { stage = name, topic = topic }
    }
  ]...)
}
