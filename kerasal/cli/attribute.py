"""``kerasal attribute``: a command for each method, with flags from its signature."""

import inspect
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperGroup

from kerasal.cli import options
from kerasal.cli.array_options import ARRAY_OPTIONS
from kerasal.cli.json_output import with_json
from kerasal.cli.map_files import MapFiles
from kerasal.cli.method_flags import Smooth, SmoothNoise, method_flag, read_value
from kerasal.cli.method_list import print_methods, rows_by_family
from kerasal.cli.method_table import MethodRow, argument_help, families, read_method
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.outputs import App
from kerasal.cli.session import load_tensorflow
from kerasal.cli.target_options import Target

_OUTPUT = Annotated[
    Path | None,
    options.Output(
        help="The picture (.png, .jpg, .webp), the raw map (.npy), or a folder for the map over each photo at the "
        "photo's own resolution. Default: IMAGE-METHOD.png, or METHOD.png for several photos."
    ),
]


class MethodGroup(TyperGroup):
    """The commands of ``attribute``, a command for each method; they are listed without TensorFlow."""

    def list_commands(self, ctx) -> list[str]:
        """Return the methods' names by family; those of other packages too once they are registered."""
        names = [row.name for rows in rows_by_family().values() for row in rows]
        if registry := sys.modules.get("kerasal.attribution.method"):
            names += [name for name in registry.list_methods() if name not in names]
        return names

    def get_command(self, ctx, cmd_name: str):
        """Build the command of one method."""
        row = read_method(cmd_name)
        if row is None:
            load_tensorflow()
            from kerasal import attribution
            from kerasal.names import unknown_name_message

            if cmd_name not in attribution.list_methods():
                raise typer.BadParameter(unknown_name_message(cmd_name, attribution.list_methods(), "method"), ctx)
            spec = attribution.method_spec(cmd_name)
            text = inspect.getdoc(attribution.method_function(cmd_name)) or ""
            facts = spec.options, argument_help(text), spec.family, spec.passes
            row = MethodRow(spec.name, spec.summary, spec.reference, *facts)
        app = App(pretty_exceptions_enable=False, add_completion=False)
        app.command(cmd_name)(_command(row))
        command = typer.main.get_command(app)
        command.name = cmd_name
        vars(command)["rich_help_panel"] = families().get(row.family, families()[""])
        return command


attribute = App(cls=MethodGroup, no_args_is_help=True)


@attribute.callback()
def _attribute(
    list_: Annotated[
        bool,
        Option("--list", help="List the methods with their cost and exit.", callback=print_methods, is_eager=True),
    ] = False,
) -> None:
    """Map which parts of an input a model's score depends on: kerasal attribute METHOD MODEL IMAGE."""


def _command(row):
    """Return the command of a method: a function whose signature has the shared options and the method's own."""
    flags = [flag for parameter in row.options.values() if (flag := method_flag(parameter, row)) is not None]

    @with_json
    @with_model("preprocessing", "labels", "weights", "fit")
    @options.with_options("drawing", options.drawing_options("on", "tile", "colormap", "strength", "dpi"))
    @options.with_options("arrays", ARRAY_OPTIONS)
    @options.with_options("question", Target, Target)
    @options.with_options("settings", {flag.name: (flag.annotation, flag.default) for flag in flags})
    def command(
        load: Load,
        settings: dict,
        drawing: dict,
        arrays: dict,
        question: Target,
        image: options.Inputs,
        output: _OUTPUT = None,
        class_: options.Classes = None,
        channel: options.Channel = None,
        logits: options.Logits = True,
        model_output: options.ModelOutput = None,
        smooth: Smooth = None,
        smooth_noise: SmoothNoise = 0.15,
    ) -> None:
        question.check(class_ or (), channel, model_output)
        unit, smoothing = options.read_channel(channel), None
        if "quiet" in settings:
            settings["progress"] = not settings.pop("quiet")
        if smooth is not None:
            quiet = settings.get("progress") is False
            settings |= {"progress": False} if "progress" in settings else {}
            smoothing = {"samples": smooth, "noise": smooth_noise, "progress": not quiet}
        settings = {name: read_value(value, row.options[name]) for name, value in settings.items()}
        target = MapFiles.choose(row.name, image, output, class_, drawing, arrays)  # before anything is loaded
        model = load()
        from kerasal import objectives

        classes: list[Any] = [options.find_class(text, model) for text in class_ or ()]
        arguments = {"output": model_output, "logits": logits, "smoothing": smoothing, **settings}
        if question.kind:
            make_targets = question.objectives(model, classes, output=model_output, logits=logits)
            return target.explain(model, make_targets, None, arguments)
        explained = [objectives.channel(*unit)] if unit is not None else classes or [None]
        return target.explain(model, lambda example: explained, channel, arguments)

    command.__doc__ = (
        f"{row.summary}\n\nSeveral photos and classes make one sheet: a row per photo, a column per class. A model of "
        "signals, volumes or videos takes files of its inputs (.npy, .npz, .nii.gz, .tif), one or a batch.\n\n"
        f"Source: {row.reference}."
    )
    return command
