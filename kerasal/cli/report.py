"""``kerasal report`` and ``kerasal gaze report``: a training run as one HTML file to hand in."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from kerasal.cli import completion, options
from kerasal.cli.session import load_tensorflow, say


def report(
    run: Annotated[
        Path,
        Argument(
            help="The folder of a run of `train` or `gaze train`.", show_default=False, autocompletion=completion.models
        ),
    ],
    output: Annotated[
        Path | None, options.Output(help="The HTML file to write. Default: report.html in the folder of the run.")
    ] = None,
    data: Annotated[
        Path | None, Option(help="The data, if they are no longer where the training found them.", show_default=False)
    ] = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Write the report of a training: settings, curves, scores beside baselines, examples, and how to reproduce it.

    The page is a single file with its pictures. It can be read offline, printed on A4 and handed in.
    """
    output = run / "report.html" if output is None else output
    options.check_output(output, (".html",), folders=False)
    load_tensorflow()
    from kerasal.files import write_text
    from kerasal.report import collect_report, render_report

    content = collect_report(run, data=data, unsafe=unsafe, progress=True)
    write_text(output, render_report(content))
    for sentence in (*content.lead, *content.notes):
        say(sentence)
    say(f"{output}  {output.stat().st_size / 1e6:.1f} MB")
