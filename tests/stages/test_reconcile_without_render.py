"""One that cannot be rendered holds back what others would delete, until a person lets them go on without it."""

import itertools
import json
from dataclasses import replace

import pytest
from tests.memory_plane import CLUSTER, config_map
from tests.memory_plane import kustomization as any_kustomization
from tests.moved_objects import deletions, found, thing
from tests.stages.test_reconcile_moves import kustomization, run_in_order
from tests.stages.test_reconcile_moves_suspended import ORDERS, owner, pass_time, resume, suspend
from tests.stages.test_reconcile_moves_suspended import fleet as moving

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.core.errors import Transient
from penstock.core.http import HttpRequest
from penstock.core.reconcile.unrendered import is_excused, render_mark
from penstock.stages import api
from penstock.stages.reconcile import source as sources

BAD = {"b/bad.yaml": "kind: ["}
WAITS = "1 deletions wait until flux-system/b rendered this revision"
COMMAND = "penstock approve kustomization/b -n flux-system --without-render"


def fleet(**of_b):
    """``a`` with x, stays-a and rest; ``b`` with stays-b."""
    plane = moving(**of_b)
    push(plane, {"a/rest.yaml": config_map("rest")})
    plane.cluster.calls.clear()
    return plane


def ask(plane, path, body):
    """(status, body) of one request; what it publishes is worked off."""
    token = b"a-token-of-this-test"
    deps = replace(plane.deps, secrets=MemorySecrets({api.TOKEN_SECRET: {"token": token}}))
    headers = {"authorization": f"Bearer {token.decode()}"}
    request = HttpRequest(method="POST", path=path, query="", headers=headers, body=json.dumps(body).encode())
    response, messages = api.run(request, deps)
    for out in messages:
        plane.publish(out.message)
    plane.settle(seconds=1)
    return response.status, json.loads(response.body)


def without_render(plane, name="b"):
    return ask(plane, "/approve", {"cluster": CLUSTER, "name": name, "withoutRender": True, "who": "ann"})


def waits(plane, name="a"):
    return [event.message for event in plane.events if (event.name, event.reason) == (name, "PruneWaiting")]


def push(plane, files):
    plane.push(files)
    plane.settle()


def stuck(**of_b):
    """b cannot be rendered, and x has left a."""
    plane = fleet(**of_b)
    push(plane, BAD)
    push(plane, {"a/x.yaml": None})
    return plane


def test_what_waits_for_a_failing_one_says_so_and_goes_on_without_it_when_somebody_says_that():
    plane = stuck()
    pass_time(plane, 3600)
    assert deletions(plane) == []
    assert plane.ready("a").startswith("True ReconciliationSucceeded: Applied revision")
    assert WAITS in plane.ready("a")
    assert COMMAND in plane.ready("a")
    (told,) = waits(plane)
    assert WAITS in told
    assert COMMAND in told
    assert without_render(plane) == (200, {"withoutRender": "flux-system/b", "who": "ann"})
    assert deletions(plane) == ["ConfigMap/apps/x"], "at once, not at the next look"
    assert "wait" not in plane.ready("a")
    assert "BuildFailed" in plane.ready("b"), "what is wrong with it is still said"
    assert [event.message for event in plane.events if event.reason == "PruneApproved"] == [
        "nobody waits for its render, until it has one: said by ann"
    ]


def test_one_that_was_never_rendered_holds_back_nobody_either():
    plane = fleet()
    push(plane, {"clusters/prod/b2.yaml": kustomization("b2", "nowhere")})
    push(plane, {"a/x.yaml": None, "clusters/prod/a.yaml": kustomization("a", "a", prune=True)})
    assert "1 deletions wait until flux-system/b2 rendered this revision" in plane.ready("a")
    assert without_render(plane, "b2")[0] == 200
    assert deletions(plane) == ["ConfigMap/apps/x"]
    push(plane, {"nowhere/x.yaml": config_map("x", key="3")})
    assert (owner(plane), plane.config_map("x")) == ("b2", {"key": "3"})


def test_the_word_holds_for_later_commits_that_do_not_mend_it():
    plane = stuck()
    without_render(plane)
    push(plane, {"a/stays.yaml": None, "a/new.yaml": config_map("new")})
    assert deletions(plane) == ["ConfigMap/apps/x", "ConfigMap/apps/stays-a"]


@pytest.mark.parametrize("order", [*itertools.permutations(("flux-system", "a", "b"))], ids="-".join)
def test_what_moves_in_the_commit_that_mends_it_is_handed_over(order):
    """The word is about what it has tried in vain; what is newer is waited for."""
    plane = stuck()
    without_render(plane)
    plane.cluster.calls.clear()
    plane.push({"b/bad.yaml": None, "a/stays.yaml": None, "b/moved.yaml": config_map("stays-a", key="9")})
    run_in_order(plane, order)
    plane.settle()
    assert deletions(plane) == []
    assert (owner(plane, "stays-a"), plane.config_map("stays-a")) == ("b", {"key": "9"})
    assert plane.status("b").excused == plane.status("b").failed_at == ""


def test_what_moves_by_another_document_that_mends_it_is_handed_over():
    """The commit gives b another path: whoever runs first knows that its attempts were at the old document."""
    for order in itertools.permutations(("a", "b")):
        plane = stuck()
        without_render(plane)
        plane.cluster.calls.clear()
        files = {"clusters/prod/b.yaml": kustomization("b", "good"), "good/y.yaml": config_map("stays-a", key="9")}
        plane.push({**files, "good/b.yaml": config_map("stays-b"), "a/stays.yaml": None})
        run_in_order(plane, ("flux-system", *order))
        plane.settle()
        assert deletions(plane) == []
        assert owner(plane, "stays-a") == "b"


def test_the_word_ends_with_the_next_render():
    plane = stuck()
    without_render(plane)
    push(plane, {"b/bad.yaml": None})
    assert plane.ready("b").startswith("True")
    push(plane, BAD)
    plane.cluster.calls.clear()
    push(plane, {"a/stays.yaml": None})
    pass_time(plane, 600)
    assert deletions(plane) == []
    assert WAITS in plane.ready("a")
    assert without_render(plane)[0] == 200
    assert deletions(plane) == ["ConfigMap/apps/stays-a"]


def test_what_does_not_fail_is_waited_for_whatever_somebody_says():
    plane = fleet()
    status, body = without_render(plane)
    assert (status, body["title"]) == (409, "Conflict")
    assert body["detail"].startswith("flux-system/b has not failed")
    assert plane.status("b").excused == ""


def test_a_passing_trouble_is_no_failure(monkeypatch):
    """It may have a render in a second: nobody is told how to do without it, and an older word does not count."""
    plane = stuck()
    without_render(plane)
    plane.cluster.calls.clear()
    whole = sources.load_tree

    def away(deps, digest):
        if plane.failing:
            raise Transient("503", reason="ArtifactFailed")
        return whole(deps, digest)

    monkeypatch.setattr(sources, "load_tree", away)
    plane.push({"a/stays.yaml": None, "b/bad.yaml": None, "b/moved.yaml": config_map("stays-a", key="9")})
    plane.failing = True
    run_in_order(plane, ("b",))
    assert "ArtifactFailed" in plane.ready("b")
    plane.failing = False
    run_in_order(plane, ("a",))
    plane.settle()
    assert deletions(plane) == []
    assert owner(plane, "stays-a") == "b"


@pytest.mark.parametrize(
    ("of_b", "why"),
    [
        ({"dependsOn": [{"name": "nobody"}]}, "DependencyNotReady"),
        ({"dependsOn": [{"name": "base", "readyExpr": "this is no CEL"}]}, "InvalidCELExpression"),
        ({"decryption": {"provider": "sops", "secretRef": {"name": "none"}}}, "BuildFailed"),
        ({"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "none"}]}}, "BuildFailed"),
    ],
    ids=["depends", "CEL", "decryption", "substitution"],
)
def test_whatever_it_fails_by(of_b, why):
    plane = fleet()
    document = {"clusters/prod/b.yaml": any_kustomization("b", "b", **of_b)}
    secret = {"b/secret.yaml": "kind: [" if why != "InvalidCELExpression" else config_map("more")}
    push(plane, {**document, **secret})
    assert why in plane.ready("b")
    push(plane, {"a/x.yaml": None})
    pass_time(plane, 600)
    assert WAITS in plane.ready("a")
    assert deletions(plane) == []
    assert without_render(plane)[0] == 200
    assert deletions(plane) == ["ConfigMap/apps/x"]


@pytest.mark.parametrize("below", [False, True], ids=["alone", "with children"])
def test_a_removal_goes_on_without_it(below):
    plane = fleet()
    children = {"a/c.yaml": kustomization("c", "c"), "c/of-c.yaml": config_map("of-c")} if below else {}
    push(plane, {**BAD, **children})
    push(plane, {"clusters/prod/a.yaml": None, "a/x.yaml": None, "a/rest.yaml": None, **dict.fromkeys(children)})
    pass_time(plane, 600)
    assert deletions(plane) == []
    assert "Unknown Progressing: removal: " in plane.ready("a")
    assert COMMAND in plane.ready("a")
    assert len(waits(plane)) == 1
    assert without_render(plane)[0] == 200
    plane.settle()
    gone = {
        "ConfigMap/apps/x",
        "ConfigMap/apps/stays-a",
        "ConfigMap/apps/rest",
        *(["ConfigMap/apps/of-c"] if below else []),
    }
    assert set(deletions(plane)) == gone
    assert not plane.known("Kustomization", "a")
    assert not plane.known("Kustomization", "c")


@pytest.mark.parametrize("kind", ["Receiver", "Provider", "GitRepository"])
def test_a_flux_object_that_left_goes_without_it(kind):
    plane = fleet()
    push(plane, {"a/thing.yaml": thing(kind), **BAD})
    push(plane, {"a/thing.yaml": None})
    pass_time(plane, 600)
    assert found(plane, kind) is not None
    assert f"{kind}/flux-system/thing left the render, and stays until flux-system/b rendered" in plane.ready("a")
    assert COMMAND in plane.ready("a")
    assert without_render(plane)[0] == 200
    assert found(plane, kind) is None


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_an_object_of_its_last_render_is_taken_over(order):
    """Its last good render has it, and cannot be asked again: a, which renders it now, waits with all that it has."""
    plane = fleet()
    push(plane, {"b/y.yaml": config_map("y", key="1")})
    plane.push({**BAD, "b/y.yaml": None, "a/y.yaml": config_map("y", key="2"), "a/new.yaml": config_map("new")})
    run_in_order(plane, order)
    pass_time(plane, 600)
    assert (owner(plane, "y"), plane.config_map("new")) == ("b", None)
    assert COMMAND in plane.ready("a")
    assert len(waits(plane)) == 1
    assert without_render(plane)[0] == 200
    assert (owner(plane, "y"), plane.config_map("y"), plane.config_map("new")) == ("a", {"key": "2"}, {})
    push(plane, {"b/bad.yaml": None})
    pass_time(plane, 600)
    assert deletions(plane) == []
    assert owner(plane, "y") == "a"
    assert "apps_y__ConfigMap@v1" not in plane.status("b").inventory


def test_what_else_its_last_render_has_stays_its_own():
    """An object that had moved to b, and that b has not taken over, is deleted by nobody."""
    plane = fleet()
    suspend(plane, "b")
    plane.push({"a/x.yaml": None, "b/x.yaml": config_map("x", key="2")})
    run_in_order(plane, ("a", "b"))
    plane.settle()
    assert "ConfigMap/apps/x left for flux-system/b, suspended" in plane.ready("a")
    push(plane, BAD)
    resume(plane, "b")
    push(plane, {"a/stays.yaml": None})
    assert without_render(plane)[0] == 200
    pass_time(plane, 600)
    assert deletions(plane) == ["ConfigMap/apps/stays-a"]
    assert plane.config_map("x") == {"key": "1"}
    push(plane, {"b/bad.yaml": None})
    pass_time(plane, 600)
    assert (owner(plane), plane.config_map("x")) == ("b", {"key": "2"})
    assert deletions(plane) == ["ConfigMap/apps/stays-a"]


def test_a_flux_object_of_its_last_render_is_taken_over():
    plane = fleet()
    push(plane, {"b/c.yaml": kustomization("c", "c"), "c/of-c.yaml": config_map("of-c")})
    push(plane, {**BAD, "b/c.yaml": None, "a/c.yaml": kustomization("c", "c")})
    pass_time(plane, 600)
    assert COMMAND in plane.ready("a")
    assert without_render(plane)[0] == 200
    assert plane.ready("a").startswith("True")
    push(plane, {"b/bad.yaml": None})
    pass_time(plane, 600)
    assert deletions(plane) == []
    assert plane.known("Kustomization", "c")
    assert plane.config_map("of-c") == {}


def test_one_whose_children_cannot_be_stored_holds_back_nobody():
    """b applies nothing (its namespace is missing), so its child stands for nobody knows what."""
    plane = fleet()
    child = {"b/c.yaml": kustomization("c", "c"), "c/of-c.yaml": config_map("of-c")}
    push(plane, {**child, "b/lost.yaml": config_map("lost", "no-such-namespace")})
    assert "ReconciliationFailed" in plane.ready("b")
    push(plane, {"a/x.yaml": None})
    assert WAITS in plane.ready("a")
    assert without_render(plane)[0] == 200
    assert deletions(plane) == ["ConfigMap/apps/x"]
    plane.push({"b/lost.yaml": None, "a/stays.yaml": None, "c/y.yaml": config_map("stays-a", key="9")})
    run_in_order(plane, ("a", "b"))
    pass_time(plane, 600)
    assert deletions(plane) == ["ConfigMap/apps/x"]
    assert owner(plane, "stays-a") == "c"


@pytest.mark.parametrize("where", ["switch", "manifest"])
def test_a_suspended_one_that_cannot_be_rendered(where):
    plane = fleet()
    if where == "switch":
        suspend(plane)
    else:
        push(plane, {"clusters/prod/b.yaml": kustomization("b", "b", suspend=True)})
    push(plane, {**BAD, "a/x.yaml": None})
    assert "1 deletions wait until flux-system/b (suspended) rendered this revision" in plane.ready("a")
    assert COMMAND in plane.ready("a")
    assert pass_time(plane, 400) == []
    assert without_render(plane)[0] == 200
    assert deletions(plane) == ["ConfigMap/apps/x"]
    plane.push({"b/bad.yaml": None, "a/stays.yaml": None, "b/moved.yaml": config_map("stays-a", key="9")})
    run_in_order(plane, ("a", "b"))
    plane.settle()
    assert deletions(plane) == ["ConfigMap/apps/x"]
    assert "ConfigMap/apps/stays-a left for flux-system/b, suspended" in plane.ready("a")
    assert plane.status("b").excused == ""


def test_a_guard_asks_all_the_same():
    """Two things are to be said then: that nobody waits for b, and that exactly these deletions may happen."""
    plane = fleet()
    push(plane, BAD)
    push(
        plane, {"a/x.yaml": None, "a/stays.yaml": None, "a/rest.yaml": None, "a/kustomization.yaml": "resources: []\n"}
    )
    assert "3 deletions wait until flux-system/b" in plane.ready("a")
    without_render(plane)
    assert plane.ready("a").startswith("False PruneStopped: prune stopped: the render holds no object at all")
    assert deletions(plane) == []


def test_several_that_fail_are_all_named():
    plane = fleet()
    push(plane, {**BAD, "clusters/prod/d.yaml": kustomization("d", "nowhere")})
    push(plane, {"a/x.yaml": None})
    assert f"{COMMAND}, and the same for flux-system/d" in plane.ready("a")
    without_render(plane)
    assert deletions(plane) == []
    assert "penstock approve kustomization/d -n flux-system --without-render" in plane.ready("a")
    without_render(plane, "d")
    assert deletions(plane) == ["ConfigMap/apps/x"]


def test_others_keep_the_word_and_a_switch_keeps_it_too():
    """What reconcile writes for another reason, or a person sets, leaves it as it is."""
    plane = stuck()
    without_render(plane)
    mark = render_mark(plane.status("b"))
    plane.reconcile("b", why="interval")
    suspend(plane)
    resume(plane)
    assert plane.status("b").excused == mark
    assert is_excused(plane.status("b"))
