# What each stage may do, as verbs that each cloud's module turns into permissions. pipeline.json says which ports a
# stage has; this table says what the stage does with those that have more than one verb. A port without a line here
# is an error of the plan, never a right.

locals {
  verbs = {
    # records: webhook reads its index of Receivers and their objects, and writes what came of deliveries. index: writes that
    # index; read-index: reads no more than it. due: the index of what is due. scan: lists over all clusters; sweep: over
    # everything. remove: those that end records (on AWS what writes may also remove: a value that shrinks leaves parts behind).
    state = {
      webhook   = ["read-hooks", "write-deliveries"]
      api       = ["read", "write", "remove", "scan"]
      tick      = ["read", "write", "due", "scan", "sweep"]
      fetch     = ["read", "write", "remove"]
      reconcile = ["read", "write", "remove", "index"]
      notify    = ["read", "write", "remove"]
    }
    # artifacts: fetch makes them, reconcile renders them, tick collects what nobody names any more. api has the port and
    # uses it for nothing yet, as it has the clusters'.
    storage = {
      api       = []
      tick      = ["list", "delete"]
      fetch     = ["read", "write"]
      reconcile = ["read"]
    }
    # secrets: by the word that their names start with (core/secrets/names.py). read-mine: what is there for this stage.
    # read-token: the api's. reconcile alone makes copies of its clusters' Secrets, for the three, and reads the plane's own.
    secrets = {
      webhook   = ["read-mine"]
      api       = ["read-token"]
      fetch     = ["read-mine"]
      reconcile = ["read", "write"]
      notify    = ["read-mine"]
    }
    # clusters are reached, and data keys unwrapped, by the function's own identity
    clusters = { api = [], reconcile = ["reach"] }
    keys     = { reconcile = ["decrypt"] }
  }

  # Of a plane in several regions (core/regions.py): what a function of home does in further ones, and one of those at
  # home. A line less is a right less: nobody needs all verbs there.
  elsewhere = {
    further = {
      publishes = {
        webhook = ["source-changed", "reconcile-due"]
        api     = ["source-changed", "reconcile-due", "event"]
        tick    = ["source-changed", "reconcile-due", "event"]
        fetch   = ["artifact-stored", "event", "source-changed"]
      }
      # what is due and whom a commit concerns; records of a cluster that has left the Plane are looked for everywhere
      state = {
        webhook   = ["read-hooks", "write-deliveries"]
        api       = ["read", "write", "remove", "scan"]
        tick      = ["read", "write", "due", "scan", "sweep"]
        fetch     = ["read", "write"]
        reconcile = ["read"]
        notify    = ["read-index"]
      }
      storage = {
        tick      = ["list", "delete"]
        fetch     = ["read", "write"]
        reconcile = ["read"]
      }
      secrets = { webhook = ["read-mine"] }
    }
    # the Plane, its own source and its artifact; reconcile writes the index of Receivers, and masks plans under the api's token
    home = {
      publishes = { reconcile = ["source-changed"] }
      state = {
        fetch     = ["read"]
        reconcile = ["read", "index"]
        notify    = ["read-index"]
      }
      storage = {
        fetch     = ["read"]
        reconcile = ["read"]
      }
      secrets = { reconcile = ["read-token"] }
    }
  }

  missing_verbs = flatten([
    for name, stage in local.stages : [
      for port in stage.ports : "${name}.${port}" if contains(keys(local.verbs), port) && !can(local.verbs[port][name])
    ]
  ])

  # Who reads copies: names of theirs start with the stage's.
  secret_readers = sort([for stage, verbs in local.verbs.secrets : stage if contains(verbs, "read-mine")])

  delays = {
    for name, stage in local.stages : name => sort(setsubtract(setintersection(stage.publishes, stage.subscribes), local.ordered_topics))
  }

  rights = {
    for name, stage in local.stages : name => {
      verbs = { for port, verbs in local.verbs : port => contains(stage.ports, port) ? try(verbs[name], []) : [] }
      # A scheduled stage also tells of dead letters that no function came to an end with.
      publishes = sort(distinct(concat(stage.publishes, stage.trigger == "schedule" ? ["event"] : [])))
      # Backoff, continuations and looks at rollouts: what a stage puts off are messages to itself, and never those in order.
      delays = local.delays[name]
      # Stages whose queues a delayed message goes straight into.
      delays_to = sort(distinct(flatten([for topic in local.delays[name] : local.subscribers[topic]])))
      consumes  = stage.trigger == "topic"
      elsewhere = {
        for where, does in local.elsewhere : where => {
          publishes = lookup(does.publishes, name, [])
          verbs     = { for port in keys(local.verbs) : port => contains(stage.ports, port) ? try(does[port][name], []) : [] }
        }
      }
      # Stages whose dead letters it looks through.
      dead_letters_of = stage.trigger == "schedule" ? sort(keys(local.queues)) : []
    }
  }
}
