"""`penstock serve` and `penstock` itself as processes."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from tests.bench.bench_cold_start import ROOT

from penstock.cli import main
from penstock.cli.main import COMMANDS, Entry
from penstock.core.errors import Refused
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.wiring import open_state, settings_from
from penstock.wiring.embedded import EmbeddedPlane, Options

DOCUMENT = {
    "apiVersion": "penstock.dev/v1alpha1",
    "kind": "Plane",
    "metadata": {"name": "test"},
    "spec": {"source": {"url": "http://127.0.0.1:9/fleet.git", "interval": "1m"}},
}


def penstock(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "penstock.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "shared"), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def data_dir(tmp_path):
    state = open_state(tmp_path / "data")
    state.put(PLANE_KEY, PlaneRecord(uid="ab" * 16, document=DOCUMENT).to_value(), expected=None)
    state.close()
    return tmp_path / "data"


def served(process):
    """The lines that it says until it takes deliveries, and its url."""
    lines = []
    while not any(line.startswith("synced") for line in lines):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        lines.append(line)
    url = next(match[1] for line in lines if (match := re.match(r"listening  (http://\S+)", line)))
    return lines, url


def get(url, path):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_does_answers_and_ends_well_when_told_to(data_dir, number):
    process = penstock("serve", "--data-dir", data_dir, "--port", 0, "--log", "json")
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        lines, url = served(process)
        text = "".join(lines)
        assert "polled every 1m, since no --public-url says where a Git server could push to" in text
        assert f"data       {data_dir}" in text
        assert json.loads(get(url, "/healthz")[1])["status"] == "ok"
        assert get(url, "/status")[0] == 401
        assert get(url, "/hook/" + "0" * 64)[0] == 405
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")
        assert "work in hand is finished or given back" in out
        assert "Traceback" not in text + out
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def test_after_a_kill_it_starts_again_on_the_same_directory(data_dir):
    for _ in range(2):
        process = penstock("serve", "--data-dir", data_dir, "--port", 0, "--public-url", "https://p.example/")
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            lines, _ = served(process)
            assert "pushes arrive at https://p.example/hook/…" in "".join(lines)
        finally:
            watchdog.cancel()
            process.kill()
            process.communicate()


def test_it_puts_a_plane_in_force_first(tmp_path):
    (tmp_path / "penstock.yaml").write_text(json.dumps(DOCUMENT))
    process = penstock("serve", "--data-dir", tmp_path / "new", "--port", 0, "-f", tmp_path / "penstock.yaml")
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        lines, _ = served(process)
        assert "plane/test created\n" in lines
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def test_without_a_plane_it_says_what_to_do(tmp_path):
    process = penstock("serve", "--data-dir", tmp_path / "new")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == f"penstock: no Plane in {tmp_path}/new: `penstock plane apply -f penstock.yaml` puts one there\n"


def test_serve_is_for_the_embedded_plane(tmp_path):
    options = Options(settings=replace(settings_from({}, data_dir=tmp_path), backend="aws"))
    with pytest.raises(Refused, match="PENSTOCK_BACKEND is aws"), EmbeddedPlane(options):
        pass


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize("arguments", [["turbine"], ["serve", "--port", "many"], ["serve", "--colour"]])
def test_wrong_arguments_are_2(arguments, capsys):
    assert main(arguments) == 2
    assert "usage: penstock" in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"penstock \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_wrong_environment_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PENSTOCK_BACKEND", "abacus")
    assert main(["serve", "--data-dir", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert (
        err == "penstock: environment variable PENSTOCK_BACKEND is 'abacus'; this release has embedded, aws, google\n"
    )


def test_a_command_that_this_release_lacks_says_so_and_others_go_on(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "turbine", Entry(module="turbine", help="x"))
    assert main(["turbine"]) == 1
    assert capsys.readouterr().err == "penstock: this release has no `penstock turbine`\n"
    assert main(["--help"]) == 0


@pytest.mark.parametrize(
    ("error", "status"), [("KeyboardInterrupt", 130), ("BrokenPipeError", 1), ("Transient('no answer')", 1)]
)
def test_whatever_ends_a_command_ends_without_a_traceback(error, status):
    program = f"""
import sys, types
from penstock.cli.main import COMMANDS, Entry, main
from penstock.core.errors import Transient

module = types.ModuleType("penstock.cli.turbine")
module.add_parser = lambda subparsers: subparsers.add_parser("turbine")

def run(args):
    print("half a line")
    raise {error}

module.run = run
sys.modules[module.__name__] = module
COMMANDS["turbine"] = Entry(module="turbine", help="x")
sys.exit(main(["turbine"]))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "penstock: no answer\n" if "Transient" in error else "")


def test_a_command_loads_its_own_module_alone():
    program = "import sys; from penstock.cli import main; main(['serve', '--help']); print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "shared")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "penstock.cli.serve" in loaded
    others = {f"penstock.cli.{entry.module}" for entry in COMMANDS.values()} - {"penstock.cli.plane"}  # serve -f
    assert others & loaded == {"penstock.cli.serve"}
    assert not loaded & {"kubernetes", "dulwich", "waitress"}
