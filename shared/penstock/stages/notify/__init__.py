"""The stage that tells the Providers of the Alerts that ask for an event."""

from penstock.stages.notify.run import run

__all__ = ["run"]
