"""The application: the commands, and the exit codes and messages of their errors."""

import contextlib
import io
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from typer import Option
from typer.core import TyperGroup

import kerasal
from kerasal.cli.atlas import atlas
from kerasal.cli.attribute import attribute
from kerasal.cli.batch import BatchCommand, batch
from kerasal.cli.compare import compare
from kerasal.cli.demo import demo
from kerasal.cli.exemplars import evolution, exemplars
from kerasal.cli.flags import name_flags, running_flags
from kerasal.cli.gaze import HELP as GAZE_HELP
from kerasal.cli.gaze import app as gaze
from kerasal.cli.guesses import suggest_command
from kerasal.cli.info import info
from kerasal.cli.layers import feature_maps, field, filters
from kerasal.cli.localize import localize, localize_score
from kerasal.cli.maximize import maximize
from kerasal.cli.outputs import App
from kerasal.cli.patterns import patterns
from kerasal.cli.probe import probe
from kerasal.cli.report import report
from kerasal.cli.score import score
from kerasal.cli.serving import export, serve
from kerasal.cli.session import command_line, remark
from kerasal.cli.train import train
from kerasal.cli.view import view
from kerasal.cli.zoo import card, models

EXIT_CODES = (
    "Exit codes: 0 success; 1 the work failed, or some of the images could not be used; 2 wrong usage (an unknown "
    "option, file, model, layer, class or method, or a bad value); 130 stopped with Ctrl-C."
)
_COMMANDS = {
    "Explain": (compare, view, localize, localize_score),
    "Features": (maximize, feature_maps, field, patterns, exemplars, evolution, probe, filters, atlas),
    "Train": (train, report),
    "Gaze": (score,),
    "Deploy": (export, serve, batch),
    "Models": (info, models, card, demo),
}

_FIRST = {"Explain": ("attribute",), "Gaze": ("gaze",)}


class _CommandGroup(TyperGroup):
    """The commands in the order of the panels; ``attribute`` and ``gaze`` come first in their panels."""

    def list_commands(self, ctx) -> list[str]:
        """Return the names of the commands."""
        names = super().list_commands(ctx)
        order = [name for panel in _COMMANDS for name in (*_FIRST.get(panel, ()), *_names(panel))]
        return sorted(names, key=order.index)

    def resolve_command(self, ctx, args: list[str]):
        """Return the command of the first argument; an error names what was probably meant."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(suggest_command(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


def _names(panel: str) -> list[str]:
    return [command.__name__.replace("_", "-") for command in _COMMANDS[panel]]


app = App(
    name="kerasal",
    cls=_CommandGroup,
    help="See what a Keras network sees, and where people look.",
    epilog=f"{EXIT_CODES} --traceback, anywhere on the line, shows where an error came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kerasal {kerasal.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """See what a Keras network sees, and where people look."""


app.add_typer(attribute, name="attribute", rich_help_panel="Explain")
for title, commands in _COMMANDS.items():
    for command in commands:
        panel, kind = "Training" if command is train else "Settings", BatchCommand if command is batch else None
        app.command(cls=kind, rich_help_panel=title, panel=panel)(command)
app.add_typer(gaze, name="gaze", help=GAZE_HELP, rich_help_panel="Gaze")


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with a code of ``EXIT_CODES``; an error prints a line on the error stream."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    traceback = "--traceback" in arguments
    arguments = [argument for argument in arguments if argument != "--traceback"]
    running_flags.set(None)
    token = command_line.set(shlex.join(["kerasal", *map(str, arguments)]))
    try:
        with _escape_characters(sys.stdout), _escape_characters(sys.stderr), _print_warnings_as_remarks():
            app(arguments, prog_name="kerasal", obj=command_line.get())
    except KeyboardInterrupt:
        _print_error("Interrupted.")
        sys.exit(130)
    except Exception as error:
        if traceback:
            raise
        _print_error(f"[bold red]Error:[/] {_describe_error(error)}")
        sys.exit(2 if _is_usage_error(error) else 1)
    finally:
        command_line.reset(token)  # a later call from Python in this process has no command


def _print_error(text: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(text)


def _is_usage_error(error: Exception) -> bool:
    """Return whether an error is due to what was typed or passed, not a failure such as a full disk."""
    names = {base.__name__ for base in type(error).__mro__}
    if names & _STATES:
        return False
    if isinstance(error, (NotADirectoryError, IsADirectoryError, FileExistsError)):
        return error.errno is None  # raised by kerasal for an input; the system raises them for outputs, with a number
    return isinstance(error, (ValueError, TypeError, FileNotFoundError))


_STATES = {"FolderInUse", "Damaged"}
"""Classes of ValueErrors about the state of a folder of results."""


@contextlib.contextmanager
def _escape_characters(stream) -> Iterator[None]:
    """Let a stream write characters that its encoding lacks with a backslash, also in undecodable file names."""
    if not isinstance(stream, io.TextIOWrapper):  # a test or a notebook has replaced the stream
        yield
        return
    errors = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=errors)


@contextlib.contextmanager
def _print_warnings_as_remarks() -> Iterator[None]:
    """Print the library's warnings as remarks, without Python's file names and line numbers."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message, category, *place, **file):
            if issubclass(category, UserWarning):
                remark(f"Warning: {name_flags(str(message), running_flags.get() or {})}")
            else:
                usual(message, category, *place, **file)

        warnings.showwarning = show
        yield


def _describe_error(error: Exception) -> str:
    """Return an error's message on a single line, with the flags of the arguments that it names."""
    from rich.markup import escape

    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if not text or isinstance(error, KeyError):
        text = f"{type(error).__name__} {text}".strip()
    text = name_flags(text, running_flags.get() or {})
    classes = [base.__name__ for base in type(error).__mro__]
    text = " ".join([text, *(hint for name, (flag, hint) in _HINTS.items() if name in classes and flag not in text)])
    known = (ValueError, TypeError, OSError, ImportError, RuntimeError)
    return escape(text if isinstance(error, known) else f"{text} (--traceback shows where this came from)")


# For errors whose messages name no Python argument. By class name, since importing the classes loads TensorFlow.
_HINTS = {
    "UntrustedCode": ("--unsafe", "Use --unsafe if you trust the file."),
    "NoPreprocessing": (
        "kerasal info",
        "Use --preprocessing caffe, tf, torch, unit or none. `kerasal info MODEL` shows what is known about the model.",
    ),
    "UnknownLayer": (
        "kerasal field",
        "`kerasal field MODEL` lists the layers with a map; `kerasal info MODEL` names the last.",
    ),
    "NoZooModel": ("--model-option", "--weights and --model-option can only be used with a zoo model."),
    "UnnamedClasses": ("--labels", "Use --labels FILE for names."),
    "UnknownClass": ("--class-map", "Use --class-map CSV to give the numbers of the classes of the boxes."),
}
