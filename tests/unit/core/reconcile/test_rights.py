"""Which rights a plan needs: by action, without those that have been seen to work or that the plan may bring."""

import pytest

from penstock.core.reconcile.plan import Action, Change, ChangeSet
from penstock.core.reconcile.rights import Need, needed, told
from penstock.core.resources import Gvk, ObjectRef

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")


def change(name, action, *, kind="ConfigMap", group="", namespace="team", managers=None):
    ref = ObjectRef(group=group, kind=kind, namespace=namespace, name=name)
    fields = [{"manager": each, "operation": "Apply"} for each in managers or ()]
    live = None if managers is None else {"metadata": {"name": name, "managedFields": fields}}
    return Change(ref=ref, version="v1", action=action, live=live)


def asked(*changes, everything=False):
    found = needed(ChangeSet(changes=changes), "penstock", everything=everything)
    return {(need.verb, need.gvk.kind, need.namespace): need.names for need in found}


def test_each_action_needs_its_verbs():
    assert asked(
        change("new", Action.CREATED),
        change("theirs", Action.CONFIGURED, managers=["kubectl"], kind="Secret"),
        change("old", Action.DELETED, managers=["other"], kind="Service"),
        change("same", Action.UNCHANGED, managers=["other"], kind="Job"),
    ) == {
        ("patch", "ConfigMap", "team"): ("new",),
        ("create", "ConfigMap", "team"): ("new",),
        ("patch", "Secret", "team"): ("theirs",),
        ("update", "Secret", "team"): ("theirs",),
        ("delete", "Service", "team"): ("old",),
    }


def test_what_was_applied_there_before_can_be_again_but_a_deletion_is_asked_for():
    changes = (
        change("mine", Action.UNCHANGED, managers=["penstock"]),
        change("new", Action.CREATED),
        change("other", Action.CREATED, namespace="elsewhere"),
        change("old", Action.DELETED, managers=["penstock"]),
    )
    assert set(asked(*changes)) == {
        ("patch", "ConfigMap", "elsewhere"),
        ("create", "ConfigMap", "elsewhere"),
        ("delete", "ConfigMap", "team"),
    }
    assert ("patch", "ConfigMap", "team") in asked(*changes, everything=True)


RBAC = "rbac.authorization.k8s.io"


@pytest.mark.parametrize(
    ("brings", "expected"),
    [
        (change("team", Action.CREATED, kind="Namespace", namespace=""), {"Namespace"}),
        (change("team", Action.CONFIGURED, kind="Namespace", namespace="", managers=[]), {"Namespace", "ConfigMap"}),
        (change("b", Action.CREATED, kind="RoleBinding", group=RBAC), set()),
        (change("b", Action.CREATED, kind="RoleBinding", group=RBAC, namespace="x"), {"ConfigMap"}),
        (change("b", Action.CREATED, kind="ClusterRole", group=RBAC, namespace=""), set()),
        (change("b", Action.UNCHANGED, kind="ClusterRole", group=RBAC, namespace="", managers=[]), {"ConfigMap"}),
    ],
)
def test_rights_that_the_plan_may_bring_are_not_judged(brings, expected):
    found = {kind for _, kind, _ in asked(brings, change("a", Action.CREATED))}
    assert found == expected


def test_people_read_who_may_not_do_what_where():
    missing = [
        Need(verb="patch", gvk=DEPLOYMENT, namespace="team"),
        Need(verb="create", gvk=DEPLOYMENT, namespace="team"),
        Need(verb="delete", gvk=CONFIG_MAP, namespace=""),
    ]
    plurals = {DEPLOYMENT: "deployments", CONFIG_MAP: "configmaps"}
    assert told(missing, plurals, "jane") == (
        "jane may not patch and create deployments.apps in namespace team; delete configmaps at cluster scope"
    )
    many = [Need(verb="get", gvk=CONFIG_MAP, namespace=f"n{n}") for n in range(25)]
    assert told(many, plurals, "jane").endswith("in namespace n19, and 5 more")
