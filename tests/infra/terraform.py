"""The real terraform, on modules that need no provider, or with the providers of tests/infra/applied. It never asks a network:
no provider, module or backend."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra" / "terraform"
FREE = ("topology", "aws/model", "google/model", "github/model")
"""Modules without a provider: terraform itself plans and tests them."""


def run(*arguments, folder, data, reattach=""):
    """The finished process. ``data``: where terraform keeps what it makes, outside the repository.

    ``reattach``: where its providers are, for those that are served already.
    """
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("needs terraform 1.9 or newer in PATH, to plan the modules without a provider")
    environment = {"PATH": os.environ["PATH"], "HOME": str(data), "TF_DATA_DIR": str(data), "CHECKPOINT_DISABLE": "1"}
    if reattach:
        environment["TF_REATTACH_PROVIDERS"] = reattach
    return subprocess.run(
        [terraform, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def text(refused):
    """What terraform said, in one line without its frame and colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|│", " ", str(refused.value)).split())


def called(module, folder):
    """A module's source for a caller in that folder; an absolute one would be a package of its own."""
    return os.path.relpath((INFRA / module).resolve(), folder.resolve())


def outputs(module, tmp_path, *, sensitive=False, **variables):
    """What a module without a provider answers to these variables: its real plan's outputs."""
    folder = tmp_path / "caller"
    folder.mkdir()
    given = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in variables.items())
    shown = "  sensitive = true\n" if sensitive else ""
    text = f'module "it" {{\n  source = "{called(module, folder)}"\n{given}}}\n'
    text += f'output "all" {{\n  value = module.it\n{shown}}}\n'
    (folder / "main.tf").write_text(text)
    for arguments in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false")):
        done = run(*arguments, folder=folder, data=tmp_path / "data")
        assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(run("output", "-json", "all", folder=folder, data=tmp_path / "data").stdout)
