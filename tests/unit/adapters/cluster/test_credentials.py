"""Credentials that change: token files and exec plugins (real processes)."""

import json
import stat
import sys
from pathlib import Path

import pytest

from penstock.adapters.cluster.credentials import Login, Renewed, exec_plugin, login_of_plugin, token_file
from penstock.core.errors import Refused, Terminal

API = "client.authentication.k8s.io/v1"


def plugin(folder: Path, body: str) -> dict:
    script = folder / "plugin"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": API, "command": str(script), "env": [{"name": "WHO", "value": "me"}], "args": ["one"]}


def answer(status: dict) -> str:
    return f"echo '{json.dumps({'apiVersion': API, 'kind': 'ExecCredential', 'status': status})}'"


def test_a_plugin_is_run_once_and_again_after_a_401(tmp_path) -> None:
    config = plugin(tmp_path, f'echo "$WHO $1" >> {tmp_path}/runs\n{answer({"token": "t"})}')
    credentials = exec_plugin(config, {"server": "https://x"}, folder=str(tmp_path))
    used = credentials.login()
    assert {used, credentials.login()} == {Login(authorization="Bearer t")}
    assert credentials.renew(used)
    assert credentials.login().authorization == "Bearer t"
    assert (tmp_path / "runs").read_text() == "me one\nme one\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo 'please log in' >&2; exit 3", "please log in"),
        ("echo nonsense", "failed to decode"),
        (answer({}), "neither a token nor a client certificate"),
        (answer({"clientCertificateData": "x"}), "neither a token nor a client certificate"),
    ],
)
def test_a_plugin_that_fails_is_refused_with_its_words(tmp_path, body: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        exec_plugin(plugin(tmp_path, body), {}, folder=str(tmp_path)).login()


def test_a_missing_plugin_shows_its_install_hint(tmp_path) -> None:
    config = {"apiVersion": API, "command": "nowhere-to-be-found", "installHint": "brew install it"}
    with pytest.raises(Refused, match=r"nowhere-to-be-found .*brew install it"):
        exec_plugin(config, {}, folder=str(tmp_path)).login()


def test_where_no_plugin_can_be_run_the_error_says_what_to_do(tmp_path, monkeypatch) -> None:
    """In functions: their bundles are without the package that runs plugins."""
    monkeypatch.setitem(sys.modules, "kubernetes.config.config_exception", None)
    config = {"apiVersion": API, "command": "aws"}
    with pytest.raises(Refused, match=r"exec: aws: functions run no credential plugins: .*kubeConfig\.configMapRef"):
        exec_plugin(config, {}, folder=str(tmp_path)).login()


def test_what_a_plugin_gives() -> None:
    both = {"clientCertificateData": "CERT", "clientKeyData": "KEY", "expirationTimestamp": "1970-01-01T01:00:00Z"}
    assert login_of_plugin(both, "x") == (Login(certificate=b"CERT\nKEY\n"), 3540.0)
    assert login_of_plugin({"token": "t"}, "x")[1] == float("inf")
    with pytest.raises(Terminal, match="not RFC 3339"):
        login_of_plugin({"token": "t", "expirationTimestamp": "soon"}, "x")


def test_a_login_is_renewed_when_it_is_due() -> None:
    now = [0.0]
    made = []

    def source(refused: bool) -> tuple[Login, float]:
        made.append((now[0], refused))
        return Login(authorization=f"Bearer {len(made)}"), now[0] + 10

    renewed = Renewed(source, clock=lambda: now[0])
    assert renewed.login() == renewed.login()
    now[0] = 10.0
    assert renewed.login().authorization == "Bearer 2"
    assert made == [(0.0, False), (10.0, False)]


def test_a_refused_login_is_asked_for_anew_once() -> None:
    """However many threads come back with it: one that has been renewed meanwhile is not thrown away."""
    made = []

    def source(refused: bool) -> tuple[Login, float]:
        made.append(refused)
        return Login(authorization=f"Bearer {len(made)}"), float("inf")

    renewed = Renewed(source)
    used = renewed.login()
    assert all(renewed.renew(used) for _ in range(3))
    new = renewed.login()
    assert renewed.renew(used), "another thread, late"
    assert renewed.login() is new
    assert made == [False, True]


def test_a_token_file_that_is_gone_is_refused(tmp_path) -> None:
    with pytest.raises(Refused, match=r"tokenFile .*nothing"):
        token_file(str(tmp_path / "nothing")).login()
