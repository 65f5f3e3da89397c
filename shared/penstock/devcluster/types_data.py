"""The built-in kinds: names, verbs, fields, defaults and merge keys, as Kubernetes 1.36 has them.

The data stands in ``types_data.json``, made by ``penstock.devcluster.generate_types`` from the discovery and
``/openapi/v3`` of a real API server; nobody edits it by hand. Form:

- ``version``: the answer of ``/version``;
- ``kinds``: the resources of aggregated discovery, each with ``group`` ("" is core), ``version`` and ``schema`` (the
  name of its definition, "" where there is none);
- ``definitions``: name -> JSON schema with ``$ref`` shortened to a name, plus ``omitZero`` on a scalar whose zero
  value the API server drops, and ``showNull`` on a field that it writes as null when it is missing.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

DATA_FILE = Path(__file__).with_name("types_data.json")


@cache
def load() -> dict[str, Any]:
    """The data, read once. Callers change nothing in it."""
    data: dict[str, Any] = json.loads(DATA_FILE.read_bytes())
    return data
