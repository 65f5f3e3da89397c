"""What all tests share: the real control plane's fixtures, and a summary of what this machine could not test."""

import pytest

pytest_plugins = ["tests.controlplane.fixtures"]
pytest.register_assert_rewrite("tests.moved_objects")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Groups skipped tests by reason, each reason saying what to do."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    reasons: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for report in skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = text.removeprefix("Skipped: ")
        counts[reason] = counts.get(reason, 0) + 1
        reasons.setdefault(reason, set()).add(report.nodeid.partition("::")[0])
    terminalreporter.section(f"not tested on this machine: {len(skipped)} skipped")
    for reason in sorted(reasons, key=lambda each: -counts[each]):
        files = sorted(reasons[reason])
        shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        terminalreporter.write_line(f"{counts[reason]:5}  {reason}  ({shown})")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests of one ``xdist_group`` share a cluster in turn: a plugin that does not keep them together is an error."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    loose = [each for each in session.items if each.get_closest_marker("xdist_group") and "@" not in each.nodeid]
    if loose:
        raise pytest.UsageError(f"pytest-xdist does not group tests under this pytest: {loose[0].nodeid}")
