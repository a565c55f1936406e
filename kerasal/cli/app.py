"""The application: the list of commands, and what becomes of errors."""

import contextlib
import io
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from typer import Option

import kerasal
from kerasal.cli.atlas import atlas
from kerasal.cli.attribute import METHODS_HELP, MethodGroup, compare
from kerasal.cli.batch import batch
from kerasal.cli.demo import demo
from kerasal.cli.exemplars import evolution, exemplars
from kerasal.cli.gaze import HELP as GAZE_HELP
from kerasal.cli.gaze import app as gaze
from kerasal.cli.layers import feature_maps, field, filters
from kerasal.cli.localize import localize, localize_score
from kerasal.cli.maximize import maximize
from kerasal.cli.outputs import App
from kerasal.cli.patterns import patterns
from kerasal.cli.probe import probe
from kerasal.cli.score import score
from kerasal.cli.serving import export, serve
from kerasal.cli.session import remark
from kerasal.cli.train import train
from kerasal.cli.zoo import card, models

app = App(
    name="kerasal",
    help="See what a Keras network sees, and where people look.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage. --traceback, anywhere, shows where an error came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kerasal {kerasal.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """See what a Keras network sees, and where people look."""


for command in (
    *(demo, models, card, compare, atlas, maximize, feature_maps, filters, field, patterns, exemplars, evolution),
    *(localize, localize_score, probe, train, score, batch, export, serve),
):
    app.command()(command)
app.add_typer(typer.Typer(cls=MethodGroup, no_args_is_help=True), name="attribute", help=METHODS_HELP)
app.add_typer(gaze, name="gaze", help=GAZE_HELP)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed (one line of error), 2 wrong usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    traceback = "--traceback" in arguments
    arguments = [argument for argument in arguments if argument != "--traceback"]
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with _escaping(sys.stdout), _escaping(sys.stderr), _warnings_as_remarks():
            app(arguments, prog_name="kerasal", obj=shlex.join(["kerasal", *map(str, arguments)]))
    except KeyboardInterrupt:
        console.print("Interrupted.")
        sys.exit(130)
    except Exception as error:
        if traceback:
            raise
        console.print("[bold red]Error:[/]", _one_line(error), markup=True)
        sys.exit(1)


@contextlib.contextmanager
def _escaping(stream) -> Iterator[None]:
    """Let a stream write what its encoding does not have as backslash and digits, as names that are no text."""
    if not isinstance(stream, io.TextIOWrapper):  # a test or a notebook has put something else there
        yield
        return
    usual = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=usual)


@contextlib.contextmanager
def _warnings_as_remarks() -> Iterator[None]:
    """Print what the library warns of as it prints remarks, without the lines of Python around it."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message, category, *where, **file):
            if issubclass(category, UserWarning):
                remark(f"Warning: {message}")
            else:
                usual(message, category, *where, **file)

        warnings.showwarning = show
        yield


def _one_line(error: Exception) -> str:
    from rich.markup import escape

    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if not text or isinstance(error, KeyError):
        text = f"{type(error).__name__} {text}".strip()
    classes = [one.__name__ for one in type(error).__mro__]
    text = " ".join([text, *(hint for name, hint in _HINTS.items() if name in classes)])
    known = (ValueError, TypeError, OSError, ImportError, RuntimeError)
    return escape(text if isinstance(error, known) else f"{text} (--traceback shows where this came from)")


# By name, since importing these classes loads NumPy or TensorFlow, which --help must not.
_HINTS = {
    "UntrustedCode": "On the command line that is --unsafe.",
    "NoPreprocessing": "On the command line that is --preprocessing caffe, tf, torch, unit or none.",
    "NoZooModel": "On the command line, --weights and --net-option go with a zoo model.",
    "UnnamedClasses": "On the command line labels are --labels FILE.",
    "UnknownClass": "--classes CSV says which of the model's numbers the boxes' classes have.",
}
