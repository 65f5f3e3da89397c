"""A sweep: several Kustomizations of a cluster whose interval is over, looked at in one run that shares its reads.

Nothing is applied here. Whoever has something to write, or cannot be looked at, gets a message of its own, as if it had
been woken alone. Killed half-way, the message comes again and finds nothing to do for those that were looked at.
"""

from dataclasses import replace

from penstock.core.messages import LEFT_OUT, Outgoing, ReconcileDue
from penstock.ports.deps import Deps
from penstock.stages.reconcile.run import reconcile
from penstock.stages.reconcile.shared import SharedReads

LONGEST = 120.0
"""Seconds after which the rest of a sweep goes on alone, one by one: a function's time is limited."""


def run(message: ReconcileDue, deps: Deps) -> list[Outgoing]:
    """Reconcile the Kustomizations that a message names; the messages that this causes. See run.reconcile."""
    if not message.others:
        return reconcile(message, deps)
    members = _members(message)
    shared = SharedReads([f"{each.namespace}/{each.name}" for each in members])
    end = deps.clock.monotonic() + LONGEST
    messages: list[Outgoing] = []
    for each in members:
        if deps.clock.monotonic() > end:
            messages.append(Outgoing(message=each))
            continue
        try:
            messages += reconcile(each, deps, shared)
        except Exception as error:  # noqa: BLE001 - one of many: its own message fails, and is retried, for itself
            deps.telemetry.record(
                "sweep left one out", cluster=each.cluster, namespace=each.namespace, name=each.name, error=str(error)
            )
            messages.append(Outgoing(message=replace(each, why=LEFT_OUT)))
    return messages


def _members(message: ReconcileDue) -> list[ReconcileDue]:
    alone = replace(message, others=())
    parted = (each.partition("/") for each in message.others)
    return [alone, *(replace(alone, namespace=namespace, name=name) for namespace, _, name in parted)]
