"""Every kind of the API server that has a status: a rule of its own, conditions, or healthy as soon as it is there.

docs/health.md lists them. A kind that a newer Kubernetes brings fails this test until somebody has decided.
"""

from pathlib import Path

from tests.real_plane import REAL

from penstock.core.health.status import has_rule

pytestmark = REAL
PAGE = Path(__file__).parents[2] / "docs" / "health.md"
BUILT_IN = ("", "apps", "batch", "autoscaling", "policy", "extensions")


def served_with_status(control_plane) -> set[tuple[str, str]]:
    """(group, kind) of what has a status subresource, without the kinds that tests define."""
    found = set()
    paths = [("", "/api/v1")]
    for group in control_plane.call("GET", "/apis")[1]["groups"]:
        if group["name"] in BUILT_IN or group["name"].endswith(".k8s.io"):
            paths += [(group["name"], f"/apis/{each['groupVersion']}") for each in group["versions"]]
    for group, path in paths:
        resources = control_plane.call("GET", path)[1]["resources"]
        found |= {(group, each["kind"]) for each in resources if each["name"].endswith("/status")}
    return found


def listed() -> dict[tuple[str, str], bool]:
    """(group, kind) -> whether the page gives it a rule of its own."""
    table = PAGE.read_text().partition("## What fails early")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]
    kinds = {}
    for cell, how, *_ in rows:
        for name in cell.split(","):
            api, _, kind = name.strip(" `*").rpartition("/")
            kinds[api, kind] = "as soon as it is there" not in how and "`Ready`" not in how
    return kinds


def test_the_page_has_every_kind_with_a_status(control_plane):
    served, page = served_with_status(control_plane), listed()
    missing = sorted(served - page.keys())
    assert not missing, "\n".join(map(str, missing))
    assert [kind for kind, ruled in page.items() if ruled != has_rule(*kind)] == []
