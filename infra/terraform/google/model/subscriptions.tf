# Who is pushed what: each stage its topics, and the scheduled stage what others gave up.

locals {
  # Seconds: Pub/Sub waits for an answer at most so long.
  longest_push = 600

  subscriptions_of_each = merge(
    { for key, one in module.topology.subscriptions : key => { stage = one.stage, topic = one.topic, dead = false } },
    merge([
      for stage, right in module.topology.rights : {
        for other in right.dead_letters_of : "${other}-dead/${stage}" => { stage = stage, topic = "${other}-dead", dead = true }
      }
    ]...),
  )

  subscriptions = merge([
    for region in local.everywhere : {
      for key, one in local.subscriptions_of_each : "${key}${local.at[region]}" => {
        # Until then the message is not pushed again; a function that was killed leaves it to this deadline.
        ack_seconds = min(module.topology.stages[one.stage].timeout + 30, local.longest_push)
        # Five times the stage's own, after which it gives up where it fails: a push that finds no free instance uses up one, too.
        # Pub/Sub takes 5 to 100. null: a dead letter is told of until it was told, and never dies again.
        attempts = one.dead ? null : min(5 * module.topology.queues[one.stage].attempts, 100)
        backoff  = { least = 10, most = 300 }
        # As whom Pub/Sub calls. What tells of dead letters is at home.
        caller = one.dead ? "push" : "push${local.at[region]}"
        # Topic of what it gives up; null where it never does.
        dead_topic = one.dead ? null : "${one.stage}${local.at[region]}"
        # A stage that gave up by itself has told of it, and left its reason as an attribute.
        filter   = one.dead ? "NOT attributes:error" : ""
        function = one.dead ? one.stage : "${one.stage}${local.at[region]}"
        name     = local.places[region].subscriptions[key]
        of_dead  = one.dead
        ordered  = one.dead ? false : module.topology.queues[one.stage].ordered
        region   = region
        stage    = one.stage
        topic    = "${one.dead ? trimsuffix(one.topic, "-dead") : one.topic}${local.at[region]}"
      }
    }
  ]...)
}
