"""The command line: ``kerasal COMMAND``. The file of a command imports large packages only when it runs."""

from kerasal.cli.app import run

__all__ = ["run"]


def __dir__() -> list[str]:
    return sorted(__all__)
