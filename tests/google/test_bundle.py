"""google.zip, unpacked: every function is started by the functions-framework command in an empty environment, as the
image that the buildpack makes of the bundle starts it.
"""

import subprocess

import pytest
from tests.google import plane
from tests.google.bundle import ask, command, started

from penstock.wiring import load_pipeline

STAGES = load_pipeline().stages


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_function_starts_from_the_bundle_alone(stage, tmp_path):
    with (tmp_path / "log").open("w+b") as log, started(stage, log=log) as (_, port):
        match STAGES[stage].trigger:
            case "http":
                assert ask(port, "GET", "/hook/x?y")[0] == {"api": 401, "webhook": 404}[stage]
            case "schedule":
                assert ask(port, "GET")[0] == 405
            case "topic":
                assert ask(port, "GET")[0] == 405
                # poison is kept as a dead letter, and there is no Firestore that could
                assert ask(port, "POST", body=b"not ours")[0] == 503
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_without_the_bundle_the_command_finds_nothing():
    """The environment is empty: what starts above is the bundle's."""
    words, environment = command("fetch", plane.free_port())
    del environment["PYTHONPATH"]
    done = subprocess.run(words, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr
