"""pipeline.json, read from the package."""

import json
from functools import cache
from importlib.resources import files

from penstock.core.pipeline import Pipeline


@cache
def load_pipeline() -> Pipeline:
    """The topology of this release."""
    return Pipeline.from_value(json.loads(files("penstock").joinpath("pipeline.json").read_bytes()))
