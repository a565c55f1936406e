"""Reports of training runs: one self-contained HTML file with settings, curves, scores, baselines and examples.

``write_report`` writes the report of a run of ``kerasal.training.train`` or ``train_gaze``. ``collect_report`` returns
its content as a ``Report``, from which ``render_report`` makes the page. The same run and data give the same file.
"""

from kerasal import _keras as _keras
from kerasal.report.report_content import Chart, Example, ExampleGroup, Meaning, Report, Table
from kerasal.report.report_page import render_report
from kerasal.report.training_report import collect_report, write_report

__all__ = [
    "Chart",
    "Example",
    "ExampleGroup",
    "Meaning",
    "Report",
    "Table",
    "collect_report",
    "render_report",
    "write_report",
]


def __dir__() -> list[str]:
    return sorted(__all__)
