"""The ``penstock`` command: ``main(argv) -> exit status``. One module per subcommand, loaded when it is called."""

from penstock.cli.main import main

__all__ = ["main"]
