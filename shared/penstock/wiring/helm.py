"""The Helm of the machine on which a command runs."""

from penstock.adapters.helm.binary import BinaryHelm
from penstock.wiring.settings import helm_environment


def helm_of_machine(command: str = "helm") -> BinaryHelm:
    """Helm as a process, for whoever works on this machine: with its proxies, and the configHome that they name."""
    return BinaryHelm(command, environment=helm_environment(), config_homes=True)
