"""What libraries log comes out as records without values, and only from warnings on."""

import json
import logging
import subprocess
import sys
import warnings

import pytest

from penstock.adapters.telemetry.libraries import EVERY_SECONDS, MOST_PLACES, LibraryLog, listen
from penstock.adapters.telemetry.memory import MemoryTelemetry


@pytest.fixture
def log():
    """The process' loggers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = tuple(root.handlers), root.level
    made = MemoryTelemetry()
    listen(made)
    yield made
    logging.captureWarnings(capture=False)
    for handler in tuple(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def told(log):
    return log.named("library warning")


def test_a_warning_is_told_by_its_place_and_its_fixed_text(log):
    logging.getLogger("urllib3.connectionpool").warning("Retrying (%d) after %r: %s", 3, OSError("canary"), "/canary")
    (line,) = told(log)
    assert line["where"].startswith("urllib3.connectionpool:")
    assert line["error"] == "Retrying (3) after '…': …"
    assert "outcome" not in line


def test_an_error_is_one(log):
    logging.getLogger("waitress").error("Exception while serving %s", "/hook/canary")
    assert [line["outcome"] for line in told(log)] == ["failed"]
    assert "canary" not in str(told(log))


def test_a_text_that_was_put_together_before_and_a_traceback_are_not_told(log):
    password = "canary"
    try:
        int(password)
    except ValueError:
        logging.getLogger("a").exception(f"cannot log in with {password}")  # noqa: G004 - what others write
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn(f"deprecated: {password}", DeprecationWarning, stacklevel=1)
    assert "canary" not in str(told(log))
    assert [line["where"].partition(":")[0] for line in told(log)] == ["a", "py.warnings"]
    assert told(log)[0]["where"].startswith("a:")


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_nothing_below_a_warning_whatever_the_level_was(log, level):
    logging.getLogger().setLevel(level)
    listen(log)
    logging.getLogger("botocore.parsers").debug("Response body:\n%r", b'{"SecretString": "canary"}')
    logging.getLogger("httpx").info("HTTP Request: %s", "https://u:canary@a.example")
    deep = logging.getLogger("botocore.auth")
    deep.setLevel(logging.DEBUG)
    try:
        deep.debug("Signature: %s", "canary")
    finally:
        deep.setLevel(logging.NOTSET)
    assert told(log) == ()


def test_one_place_is_told_once_a_minute_and_places_are_bounded(log, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("penstock.adapters.telemetry.libraries.time.monotonic", lambda: now[0])
    handler = LibraryLog(log)

    def warn(line):
        handler.handle(logging.LogRecord("a", logging.WARNING, "a.py", line, "x %s", ("y",), None))

    for line in range(MOST_PLACES + 50):
        warn(line)
        warn(line)
    assert len(told(log)) == MOST_PLACES
    now[0] += EVERY_SECONDS
    warn(0)
    warn(MOST_PLACES + 1)
    assert len(told(log)) == MOST_PLACES + 1


def test_a_function_hands_its_libraries_to_its_log_even_where_its_settings_are_wrong():
    program = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)  # as platforms do
from penstock.wiring.runtime import open_function
try:
    open_function()
except Exception as error:
    print(type(error).__name__, file=sys.stderr)
logging.getLogger("botocore").debug("canary")
logging.getLogger("flask").error("Exception on %s [%s]", "/hook/canary", "POST")
"""
    lines = {}
    for name, backend in (("good", "embedded"), ("wrong", "nowhere"), ("missing", "")):
        environment = {"PENSTOCK_BACKEND": backend}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert ("Terminal" in done.stderr) == (name != "good"), done.stderr
        lines[name] = [json.loads(line) for line in done.stdout.splitlines()]
    for name, each in lines.items():
        *before, line = each
        assert [("PENSTOCK_BACKEND" in told["error"], told["message"]) for told in before] == (
            [] if name == "good" else [(True, "settings not usable")]
        )
        assert (line["message"], line["severity"], line["error"]) == ("library warning", "ERROR", "Exception on … […]")
