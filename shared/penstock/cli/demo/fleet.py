"""The fleet repository of the demo: examples/fleet-infra, with its namespaces under a prefix of the demo's own."""

from importlib.resources import files
from pathlib import Path

from penstock.core.errors import NotFound

MADE = ("issuing", "apps")
"""Namespaces that the fleet itself creates."""
SECRETS = "flux-system"
"""The namespace of the notifications and of the Secrets that they refer to."""
NAMESPACES = (*MADE, SECRETS)
CLUSTER_NAME = "production"


def fleet_files(prefix: str) -> dict[str, str]:
    """Path -> text of every file. With a prefix nothing has the name of anything that may exist already."""
    root = _root()
    found = {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.yaml")) if path.is_file()}
    return {path: _renamed(path, text, prefix) for path, text in found.items()}


def _root() -> Path:
    packaged = Path(str(files("penstock.cli.demo"))) / "fleet-infra"
    checkout = Path(__file__).parents[4] / "examples" / "fleet-infra"
    for candidate in (packaged, checkout):
        if candidate.is_dir():
            return candidate
    raise NotFound(f"the demo's fleet is missing: neither {packaged} nor {checkout} is there")


def _renamed(path: str, text: str, prefix: str) -> str:
    if not prefix or path.startswith("clusters/"):
        return text
    for name in MADE:
        text = text.replace(f"namespace: {name}\n", f"namespace: {prefix}{name}\n")
        text = text.replace(
            f"kind: Namespace\nmetadata:\n  name: {name}\n", f"kind: Namespace\nmetadata:\n  name: {prefix}{name}\n"
        )
    text = text.replace("issuing.example.com", f"{prefix}issuing.example.com")
    text = text.replace(
        "kind: ClusterIssuer\nmetadata:\n  name: internal", f"kind: ClusterIssuer\nmetadata:\n  name: {prefix}internal"
    )
    if path.startswith("notifications/"):
        text = text.replace(f"\n  namespace: {SECRETS}\n", f"\n  namespace: {prefix}{SECRETS}\n")
    return text
