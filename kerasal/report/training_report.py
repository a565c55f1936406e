"""Collect and write the report of a training run."""

import os
import pathlib

from kerasal.files import write_text
from kerasal.report.classifier_report import collect_classifier
from kerasal.report.gaze_report import collect_gaze
from kerasal.report.report_content import Report
from kerasal.report.report_page import render_report
from kerasal.report.run_facts import read_run

REPORT = "report.html"


def collect_report(
    run: str | os.PathLike,
    *,
    data: str | os.PathLike | None = None,
    unsafe: bool = False,
    progress: bool = False,
) -> Report:
    """Return the content of the report of a training run.

    A classifier is scored by its confusion matrix on the test images, beside the most frequent class and chance. A gaze
    model is scored by ``kerasal.gaze.evaluate`` on the test images of the data, or on the validation images if there
    are none, beside the installed model ``gaze``, the center, the mean map and a uniform map. All intervals are those
    of ``kerasal.metrics.summarize``.

    Args:
        run: the output folder of ``kerasal.training.train`` or ``train_gaze``.
        data: the data, if they are not at the place that run.json records. Without data, a report of a classifier has
            no examples.
        unsafe: whether to allow the model file to run code.
        progress: whether to show progress bars.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the folder is not that of a finished run, or the data of a gaze run cannot be opened.
    """
    facts = read_run(pathlib.Path(run))
    collect = collect_gaze if facts.is_gaze else collect_classifier
    return collect(facts, None if data is None else pathlib.Path(data), unsafe=unsafe, progress=progress)


def write_report(
    run: str | os.PathLike,
    output: str | os.PathLike | None = None,
    *,
    data: str | os.PathLike | None = None,
    unsafe: bool = False,
    progress: bool = False,
) -> pathlib.Path:
    """Write the report of a training run as a single HTML file, and return its path.

    The file holds its pictures and its style; it can be read offline, on a phone and in dark mode, and printed on A4.

    Args:
        run: the output folder of ``kerasal.training.train`` or ``train_gaze``.
        output: the file to write; by default report.html in the folder of the run.
        data: the data, if they are not at the place that run.json records.
        unsafe: whether to allow the model file to run code.
        progress: whether to show progress bars.

    Raises:
        FileNotFoundError, ValueError: as in ``collect_report``.
        OSError: the file cannot be written.
    """
    path = pathlib.Path(run) / REPORT if output is None else pathlib.Path(output)
    write_text(path, render_report(collect_report(run, data=data, unsafe=unsafe, progress=progress)))
    return path
