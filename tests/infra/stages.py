"""Which stage makes a call: for tests that compare what stages do with what they may."""

import contextlib
import functools

from penstock.wiring import Runtime


class Calls:
    """``made``: what was recorded while a stage ran; ``stage``: the one that runs, "" outside of all.

    ``at``: where the functions that are called now are, as their names in Terraform end ("" at home).
    """

    def __init__(self):
        self.stage, self.made, self.at = "", [], ""

    @contextlib.contextmanager
    def of(self, stage):
        before, self.stage = self.stage, stage + self.at
        try:
            yield
        finally:
            self.stage = before


def watch(calls, monkeypatch):
    """Every run of a stage by a Runtime counts as that stage's."""
    for name in ("run_message", "answer_http", "run_tick"):
        monkeypatch.setattr(Runtime, name, _as_stage(calls, getattr(Runtime, name)))


def _as_stage(calls, method):
    @functools.wraps(method)
    def run(self, stage, *more, **named):
        with calls.of(stage):
            return method(self, stage, *more, **named)

    return run


def handled(calls, handle):
    """A function of a stage and more, counted as that stage's."""

    @functools.wraps(handle)
    def run(stage, *more):
        with calls.of(stage):
            return handle(stage, *more)

    return run
