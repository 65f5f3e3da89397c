"""status, reconcile, suspend, resume and approve, against the real api stage over HTTP on a plane in memory."""

import json

import pytest
from tests.memory_plane import URL
from tests.served_plane import TOKEN, Served

from penstock.cli.client import named, seconds_of
from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.wiring import Settings
from penstock.wiring.reach import announce, reach, withdraw


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path / "data")
    yield made
    made.stop()


def test_status_lists_everything_and_counts_what_is_ready(served, capsys):
    assert served.run("status") == 0
    out = capsys.readouterr().out
    assert "kustomization/flux-system/apps" in out
    assert "gitrepository/flux-system/flux-system" in out
    assert out.endswith("3 of 3 are ready\n")
    served.plane.push({"apps/0.yaml": "kind: broken"})
    served.plane.settle()
    assert served.run("status") == 1
    assert "2 of 3 are ready" in capsys.readouterr().out
    assert served.run("status", "-o", "json") == 1
    assert {row["name"] for row in json.loads(capsys.readouterr().out)["objects"]} == {"apps", "flux-system"}


def test_reconcile_waits_for_the_outcome(served, capsys):
    assert served.run("reconcile", "kustomization/apps", "--wait", "5s") == 0
    assert "Kustomization apps is ready: Applied revision: main@sha1:" in capsys.readouterr().out
    served.plane.push({"apps/0.yaml": "kind: broken"})
    served.plane.settle()
    assert served.run("reconcile", "ks/apps", "--wait", "5s") == 1
    assert "Kustomization apps is not ready: BuildFailed" in capsys.readouterr().err


def test_reconcile_waits_for_the_look_at_a_source(served, capsys):
    served.plane.clock.advance(30)
    assert served.run("reconcile", "source/flux-system", "--wait", "20s") == 0
    assert "GitRepository flux-system is ready: stored artifact for revision 'main@sha1:" in capsys.readouterr().out
    served.plane.git.fail(URL, Transient("could not resolve host", reason="GitOperationFailed"))
    served.plane.clock.advance(30)
    assert served.run("reconcile", "source/flux-system", "--wait", "20s") == 1
    assert "GitRepository flux-system is not ready: GitOperationFailed: " in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["kustomization/apps", "source/flux-system"])
def test_without_wait_it_is_only_asked_for(served, capsys, wanted):
    assert served.run("reconcile", wanted) == 0
    assert "asked for" in capsys.readouterr().out


def test_a_plan_is_printed_and_nothing_written(served, capsys):
    served.plane.cluster.delete(served.plane.live("v1", "ConfigMap", "apps", "c0"))
    before = served.plane.writes()
    assert served.run("reconcile", "kustomization/apps", "--plan") == 0
    out = capsys.readouterr().out
    assert "ConfigMap/apps/c0 created" in out
    assert "1 changes (1 created, 0 configured, 0 deleted)" in out
    assert [call for call in served.plane.writes()[len(before) :] if call[0] != "patch"] == []
    assert served.plane.config_map("c0") is None


def test_suspend_and_resume(served, capsys):
    assert served.run("suspend", "kustomization/apps", "--why", "a freeze", "--until", "2h") == 0
    assert "Kustomization flux-system/apps is suspended until 20" in capsys.readouterr().out
    held = served.plane.status("apps").suspension
    assert (held.why, "@" in held.who) == ("a freeze", True)
    assert served.run("reconcile", "kustomization/apps", "--wait", "1s") == 1
    assert "is suspended: resume it first" in capsys.readouterr().err
    assert served.run("resume", "kustomization/apps", "--who", "me") == 0
    assert served.plane.status("apps").suspension is None


def test_approve_lets_a_stopped_prune_go_on(served, capsys):
    served.plane.push({f"apps/{number}.yaml": None for number in range(13)})
    served.plane.settle()
    ready = served.plane.ready("apps")
    assert ready.startswith("False PruneStopped")
    digest = ready.rpartition("--prune ")[2]
    assert served.run("approve", "kustomization/apps", "--prune", digest) == 0
    assert "are approved, once" in capsys.readouterr().out
    assert served.plane.config_map("c0") is None
    assert served.plane.config_map("c13") == {"key": "1"}


def test_approve_lets_others_go_on_without_one_that_cannot_be_rendered(served, capsys):
    assert served.run("approve", "kustomization/apps", "--without-render") == 1
    assert "flux-system/apps has not failed" in capsys.readouterr().err
    served.plane.push({"apps/bad.yaml": "kind: ["})
    served.plane.settle()
    assert served.run("approve", "kustomization/apps", "--without-render") == 0
    assert "Kustomization flux-system/apps: nobody waits for its render, until it has one" in capsys.readouterr().out
    assert served.plane.status("apps").excused.startswith("sha256:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reconcile", "kustomization/nobody"), "no cluster of this plane has Kustomization flux-system/nobody"),
        (("reconcile", "helmrelease/x"), "give kustomization/NAME or source/NAME"),
        (("suspend", "source/flux-system"), "give kustomization/NAME"),
        (("reconcile", "kustomization/apps", "--wait", "soon"), "--wait 'soon' is not a duration"),
        (("suspend", "kustomization/apps", "--until", "20T"), "neither a duration nor a time"),
        (("approve", "kustomization/apps", "--prune", "all"), "prune"),
        (("reconcile", "kustomization/apps", "--cluster", "mars"), "is not known in cluster mars"),
        (("status", "--cluster", "mars"), "the plane has no cluster 'mars'"),
    ],
)
def test_what_is_wrong_is_one_line(served, capsys, arguments, said):
    assert served.run(*arguments) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert TOKEN not in captured.err + captured.out


def test_a_wrong_token_is_said(served, capsys, tmp_path):
    (tmp_path / "other").write_text("wrong")
    assert served.run("status", "--token-file", str(tmp_path / "other")) == 1
    assert "does not take this token" in capsys.readouterr().err


def test_a_plane_that_is_gone_is_said(served, capsys):
    assert served.run("status", "--url", "http://127.0.0.1:9") == 1
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"url": "https://a.example/"}, ("https://a.example", "file")),
        ({"url": "https://a.example", "api_token": "env"}, ("https://a.example", "env")),
        ({}, ("http://127.0.0.1:1", "file")),
    ],
)
def test_where_the_plane_is(tmp_path, given, found):
    announce(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "api-token").write_text("file\n")
    made = reach(Settings(data_dir=tmp_path, **given))
    assert (made.url, made.token) == found
    assert "file" not in repr(made)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", NotFound),
        ("http://plane.example", Refused),
        ("ftp://plane.example", Terminal),
        ("https://a.example", NotFound),
    ],
)
def test_where_no_plane_is(tmp_path, url, error):
    withdraw(tmp_path)
    with pytest.raises(error):
        reach(Settings(data_dir=tmp_path), url=url)


@pytest.mark.parametrize("backend", ["aws", "google"])
def test_of_a_plane_in_a_cloud_nothing_on_this_machine_is_taken_for_its_api(tmp_path, backend):
    announce(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(NotFound, match=r"PENSTOCK_URL .*api_url") as raised:
        reach(Settings(data_dir=tmp_path, backend=backend))
    assert "penstock serve" not in str(raised.value)


def test_a_token_file_that_is_empty_is_an_error(tmp_path):
    with pytest.raises(NotFound, match="--token-file"):
        reach(Settings(data_dir=tmp_path), url="https://a.example", token_file=str(tmp_path / "none"))


def test_names_and_durations():
    assert named("KS/apps") == ("Kustomization", "apps")
    assert seconds_of("1m30s", "--wait") == 90
