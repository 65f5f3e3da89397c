"""penstock: GitOps that runs only when something happens."""

from penstock.version import __version__

__all__ = ["__version__"]
