"""Builds what runs: adapters from settings, stages on adapters. The only reader of the environment.

settings.py   the environment -> Settings
topology.py   pipeline.json
runtime.py    Runtime: a process's adapters, lazily; open_runtime, open_state
clusters.py   cluster name -> kubeconfig, by the Plane
lazy.py       ports made at first use, ports withheld from a stage
run.py        message and scheduled stages: call, publish, outcome, telemetry
http.py       HTTP stages: bounds, publish before answering, errors as statuses
outcome.py    errors -> retry, failure, backoff
reports.py    Events of failures and dead letters
functions.py  what functions/<stage>/main.py call
aws.py        a plane's ports on AWS
lambda_*.py   what functions/<stage>/lambda_handler.py call: events of AWS Lambda to stages' runs, and back
"""

from penstock.wiring.outcome import Outcome
from penstock.wiring.runtime import Runtime, open_runtime, open_state
from penstock.wiring.settings import Settings, settings_from
from penstock.wiring.topology import load_pipeline

__all__ = ["Outcome", "Runtime", "Settings", "load_pipeline", "open_runtime", "open_state", "settings_from"]
