"""The command line: ``kerasal COMMAND``. Each command is a file that imports what is heavy only when it runs."""

from kerasal.cli.app import run

__all__ = ["run"]


def __dir__() -> list[str]:
    return sorted(__all__)
