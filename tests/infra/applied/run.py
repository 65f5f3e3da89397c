"""The real terraform on whole configurations, with the providers of the tests in the published ones' places."""

import contextlib
import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.infra import provider as published
from tests.infra import terraform
from tests.infra.applied.protocol import served
from tests.infra.applied.provider import Provider

ROOT = Path(__file__).parents[3]
ADDRESSES = {
    "aws": "registry.terraform.io/hashicorp/aws",
    "google": "registry.terraform.io/hashicorp/google",
    "github": "registry.terraform.io/integrations/github",
}
_READ = re.compile(r"(?<![\w.])((?:aws|google|github)_\w+\.\w+)(?:\[(?:[^\[\]]|\[[^\]]*\])*\])?\.(\w+)")
_DECLARED = re.compile(r'^(resource|data) "(\w+)"', re.MULTILINE)


def how():
    """By what tests that can do without Terraform get what it makes: for their names."""
    return "terraform" if shutil.which("terraform") and not published.why_missing() else "by hand"


@functools.cache
def schemas():
    """The published schemas of all providers. Skips where they cannot be had."""
    if reason := published.why_missing():
        pytest.skip(reason)
    try:
        return published.schemas()
    except subprocess.SubprocessError as error:
        pytest.skip(f"the providers' schemas cannot be fetched here ({type(error).__name__})")


def declared():
    """(kind, type) of everything that the modules and examples declare."""
    return {found for path in _files() for found in _DECLARED.findall(path.read_text())}


def _files():
    return [path for folder in ("infra", "examples") for path in (ROOT / folder / "terraform").rglob("*.tf")]


def copied(directory):
    """The modules and the examples, side by side as in the repository: what terraform writes, it writes there."""
    for folder in ("infra/terraform", "examples/terraform"):
        shutil.copytree(ROOT / folder, directory / folder)
    (directory / "shared/penstock").mkdir(parents=True)
    shutil.copy(ROOT / "shared/penstock/pipeline.json", directory / "shared/penstock")
    return directory


@contextlib.contextmanager
def providers(**worlds):
    """What terraform is told of where its providers are. ``worlds``: by provider, what stands behind it.

    Skips where terraform or the schemas are missing.
    """
    if shutil.which("terraform") is None:
        pytest.skip("needs terraform, to apply the modules")
    known, types = schemas(), declared()
    found = {ADDRESSES[name]: Provider(known, f"{name}_", types, world) for name, world in worlds.items()}
    with served(found) as told:
        yield told


class Configuration:
    """A root module. ``told``: of ``providers``; ``variables``: its inputs, texts, for every command."""

    def __init__(self, folder, told, **variables):
        self.folder, self._told = folder, told
        self.variables = variables
        self._files = folder / ".terraform-of-the-test"
        assert self.run("init", "-input=false").returncode == 0

    def run(self, *arguments):
        """The finished process."""
        return terraform.run(*arguments, folder=self.folder, data=self._files, reattach=self._told)

    def do(self, command, *more, **changed):
        """The finished process of a command that takes inputs. ``changed``: those that are others this time."""
        inputs = [f"-var={name}={value}" for name, value in (self.variables | changed).items()]
        return self.run(command, "-input=false", "-no-color", *more, *inputs)

    def replace(self, file, right, other):
        """Another text in one of its files; the whole as it was."""
        text = (self.folder / file).read_text()
        assert right in text
        (self.folder / file).write_text(text.replace(right, other, 1))
        return text

    def validate(self):
        return self.run("validate", "-no-color")

    def plan(self, **changed):
        """What would be done: actions by address, without those where nothing is. Raises AssertionError with what was said."""
        shown = self._planned(changed)
        made = {each["address"]: each["change"]["actions"] for each in shown.get("resource_changes", ())}
        return {address: actions for address, actions in made.items() if actions not in (["no-op"], ["read"])}

    def planned(self, **changed):
        """What would be there: values of all resources by address, without those that are not known yet."""
        return dict(_resources(self._planned(changed)["planned_values"]["root_module"]))

    def _planned(self, changed):
        file = self._files / "plan"
        done = self.do("plan", f"-out={file}", **changed)
        assert done.returncode == 0, done.stderr
        return json.loads(self.run("show", "-json", str(file)).stdout)

    def apply(self, **changed):
        """Raises AssertionError with what was said."""
        done = self.do("apply", "-auto-approve", **changed)
        assert done.returncode == 0, done.stderr

    def destroy(self, *more):
        """The finished process."""
        return self.do("destroy", "-auto-approve", *more)

    def outputs(self):
        """Values by name."""
        return {name: each["value"] for name, each in json.loads(self.run("output", "-json").stdout).items()}

    def state(self):
        """Values of all resources by address."""
        shown = json.loads(self.run("show", "-json").stdout)
        return dict(_resources(shown.get("values", {}).get("root_module", {})))


def unmade(state):
    """What the modules and examples read of a resource, and nobody has made: a null goes a long way before it is seen."""
    read = {found for path in _files() for found in _READ.findall(path.read_text())}
    return sorted(
        f"{address}: {attribute}"
        for address, values in state.items()
        for resource, attribute in read
        if address.endswith(resource) or f"{resource}[" in address
        if values.get(attribute) is None
    )


def _resources(module):
    for each in module.get("resources", ()):
        yield each["address"], each.get("values", {})
    for inner in module.get("child_modules", ()):
        yield from _resources(inner)


def caller(directory, module, *, provider=None, **variables):
    """A root module that calls one of the repository's, with these inputs, and has its outputs."""
    folder = directory / "caller"
    folder.mkdir()
    source = terraform.called(module, folder)
    document = {"module": {"plane": {"source": source, **variables}}, "output": {"all": {"value": "${module.plane}"}}}
    if provider:
        document["provider"] = provider
    (folder / "main.tf.json").write_text(json.dumps(document))
    return folder
