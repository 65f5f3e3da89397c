"""The story, step by step. Each step does something, asserts what it shows, and returns facts for the account."""

import time
from collections.abc import Callable
from functools import partial

from penstock.cli.demo.world import NAME, World

Facts = dict[str, object]
DEPLOYMENT = "apps/v1", "Deployment", "myapp"
REPLICAS = "apps/production/myapp/patch-replicas.yaml"


class Failed(Exception):
    """What a step wanted to show is not so."""


def check(condition: object, what: str) -> None:
    """Raise Failed unless it holds."""
    if not condition:
        raise Failed(what)


def first_sync(world: World) -> Facts:
    """First sync: infrastructure-controllers, then infrastructure-configs, then apps."""
    for name in ("infrastructure-controllers", "infrastructure-configs", "apps", "notifications"):
        world.until(partial(_is_ready, world, name), f"Kustomization {name} to be ready")
    world.until(world.receiver, "the Receiver to be indexed")
    created = [str(r.get("kustomization")) for r in world.progress.since(0, "object created")]
    order = [name.partition("/")[2] for name in dict.fromkeys(created)]
    wanted = ["infrastructure-controllers", "infrastructure-configs", "apps"]
    check([name for name in order if name in wanted] == wanted, f"objects were created in the order {order}")
    check(_replicas(world) == 3, f"myapp should have 3 replicas, has {_replicas(world)}")
    return {"objects created": len(created)}


def change_replicas(world: World) -> Facts:
    """A commit changes replicas in the production overlay: one object is configured."""
    mark = world.progress.mark()
    text = world.files[REPLICAS].replace("replicas: 3", "replicas: 5")
    took, commit = _push(world, "Scale myapp to 5", {REPLICAS: text}, lambda: _replicas(world) == 5)
    _ready_at(world, "apps", commit)
    configured = [r["object"] for r in world.progress.since(mark, "object configured")]
    check(configured == [f"Deployment/{world.name('apps')}/myapp"], f"configured: {configured}")
    return {"push to visible": f"{took * 1000:.0f} ms"}


def remove_object(world: World) -> Facts:
    """A commit removes an object: it is pruned, and nothing else."""
    mark = world.progress.mark()
    path = "apps/base/api-gateway/kustomization.yaml"
    text = world.files[path].replace("  - hpa.yaml\n", "")
    hpa = "autoscaling/v2", "HorizontalPodAutoscaler", "api-gateway"
    check(world.live(*hpa), "the autoscaler of api-gateway should be there first")
    took, commit = _push(world, "Remove the gateway's autoscaler", {path: text}, lambda: world.live(*hpa) is None)
    _ready_at(world, "apps", commit)
    deleted = [r["object"] for r in world.progress.since(mark, "object deleted")]
    check(deleted == [f"HorizontalPodAutoscaler/{world.name('apps')}/api-gateway"], f"deleted: {deleted}")
    check(world.live(hpa[0], hpa[1], "myapp"), "myapp's own autoscaler must stay")
    return {"push to pruned": f"{took * 1000:.0f} ms"}


def revert_drift(world: World) -> Facts:
    """A manual edit of a live object: the plan names it, the next reconcile reverts it."""
    live = world.live(*DEPLOYMENT)
    check(live, "myapp should be there")
    assert live is not None
    edited = {**live, "spec": {**live["spec"], "replicas": 1}}
    world.cluster.replace(edited)
    check(_replicas(world) == 1, "the edit should be visible")
    target = {"cluster": NAME, "namespace": "flux-system", "name": "apps"}
    status, plan = world.api("/reconcile?plan=1&wait=30s", target)
    check(status == 200, f"the plan was answered with {status}: {plan}")
    drifted = {change["object"]: [each["path"] for each in change["fields"]] for change in plan["changes"]}
    check(drifted == {f"Deployment/{world.name('apps')}/myapp": ["spec.replicas"]}, f"the plan names {drifted}")
    check(_replicas(world) == 1, "a plan must not write")
    status, outcome = world.api("/reconcile?wait=30s", target)
    check((status, outcome.get("ready")) == (200, "True"), f"the reconcile was answered with {status}: {outcome}")
    check(_replicas(world) == 5, f"myapp should have 5 replicas again, has {_replicas(world)}")
    return {"plan named": "spec.replicas"}


def forged_signature(world: World) -> Facts:
    """A forged signature: refused with 401, and no work is done."""
    mark = world.progress.mark()
    status = world.push_hook("0" * 40, token="guessed")  # noqa: S106 - it is wrong on purpose
    check(status == 401, f"answered with {status}")
    time.sleep(0.3)
    stages = {r.get("stage") for r in world.progress.since(mark, "stage finished")}
    check(stages == {"webhook"}, f"these stages ran: {stages}")
    return {"answer": status}


def broken_overlay(world: World) -> Facts:
    """A broken overlay: changes nothing, prunes nothing, and an alert names file and field."""
    mark = world.progress.mark()
    before = _versions(world)
    path = "apps/production/myapp/kustomization.yaml"
    broken = world.files[path].replace("images:\n", "imagez:\n")
    heard = len(world.room.messages)
    took, _ = _push(world, "Break the overlay", {path: broken}, lambda: world.room.heard("imagez", path) and heard)
    check(not world.status("apps").ready(), "apps must not be ready")
    written = [r for name in ("created", "configured", "deleted") for r in world.progress.since(mark, f"object {name}")]
    check(not written, f"written: {written}")
    check(_versions(world) == before, "an object changed")
    return {"push to alert": f"{took * 1000:.0f} ms", "alert names": f"{path}, imagez"}


def fix(world: World) -> Facts:
    """The fix: ready again, and the room hears of it."""
    path = "apps/production/myapp/kustomization.yaml"
    fixed = world.files[path].replace("imagez:", "images:").replace('newTag: "2.7.1"', 'newTag: "2.7.2"')
    commit = world.commit("Fix the overlay, and update myapp", {path: fixed})
    check(world.push_hook(commit) == 202, "the push must be accepted")
    _ready_at(world, "apps", commit)
    live = world.live(*DEPLOYMENT) or {}
    image = live["spec"]["template"]["spec"]["containers"][0]["image"]
    check(image == "registry.example.com/myapp:2.7.2", f"myapp runs {image}")
    world.until(lambda: world.room.heard("Applied revision", commit[:8]), "the room to hear of the recovery")
    return {"messages in the room": len(world.room.messages)}


STEPS: tuple[Callable[[World], Facts], ...] = (
    first_sync,
    change_replicas,
    remove_object,
    revert_drift,
    forged_signature,
    broken_overlay,
    fix,
)


def _is_ready(world: World, name: str) -> bool:
    return world.status(name).ready()


def _push(world: World, message: str, files: dict[str, str], visible: Callable[[], object]) -> tuple[float, str]:
    """Commit, push, post the webhook, wait until it is visible; the seconds from the webhook on, and the commit."""
    world.files.update(files)
    commit = world.commit(message, files)
    started = time.monotonic()
    status = world.push_hook(commit)
    check(status == 202, f"the push was answered with {status}")
    world.until(visible, f"the effect of “{message}”")
    return time.monotonic() - started, commit


def _ready_at(world: World, name: str, commit: str) -> None:
    def there() -> bool:
        status = world.status(name)
        return status.ready() and status.last_applied_revision.endswith(commit)

    world.until(there, f"Kustomization {name} to be ready at {commit[:8]}")


def _replicas(world: World) -> object:
    live = world.live(*DEPLOYMENT)
    return live["spec"]["replicas"] if live else None


def _versions(world: World) -> dict[str, str]:
    """Uid and generation of what the fleet runs: what a write would change."""
    found = {}
    for kind, name in (("Deployment", "myapp"), ("Deployment", "api-gateway")):
        live = world.live("apps/v1", kind, name)
        found[name] = f"{live['metadata']['uid']} {live['metadata']['generation']}" if live else "gone"
    service = world.live("v1", "Service", "myapp")
    found["service"] = service["metadata"]["resourceVersion"] if service else "gone"
    return found
