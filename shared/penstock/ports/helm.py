"""The helm port: charts from repositories, and what they render to.

Helm itself does the work: its charts are Go templates. What a HelmRelease needs beside that (install, upgrade,
history) belongs here too.

Errors: Transient with reason ``ChartPullError`` (unreachable, timeout, 5xx), Refused with reason
``AuthenticationFailed`` (401, 403), NotFound with reason ``ChartPullError`` (no such chart or version), Terminal for
any other pull that fails; BuildFailed for what cannot be rendered, and where there is no usable Helm. Each names the
chart, and holds Helm's own words without paths of this machine. Messages never hold values or credentials.
"""

from typing import Protocol

from penstock.core.helm.chart import Chart, ChartReference, Inflater, Release

__all__ = ["Chart", "ChartReference", "Helm", "Release"]


class Helm(Inflater, Protocol):
    """One chart at a time; nothing is kept on disk between calls."""

    def version(self) -> str:
        """Helm's version, as ``4.1.0``. Raises BuildFailed where there is none, or one that is too old."""
