"""``kerasal attribute``, a command for each method with flags from its signature; and ``compare``, all methods."""

import inspect
import operator
import sys
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option
from typer.core import TyperGroup

from kerasal.cli import options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.method_table import MethodRow, argument_help, method_names, read_method
from kerasal.cli.model_argument import Load, print_top_classes, with_model
from kerasal.cli.outputs import App
from kerasal.cli.session import load_tensorflow, remark, say

METHODS_HELP = "Map which parts of a photo a model's score depends on: kerasal attribute METHOD MODEL IMAGE."

_OUTPUT = Annotated[
    Path | None,
    options.Output(help="The picture (.png, .jpg, .webp) or the raw map (.npy). Default: IMAGE-METHOD.png."),
]


class MethodGroup(TyperGroup):
    """The commands of ``attribute``, a command for each method; they are listed without TensorFlow."""

    def list_commands(self, ctx) -> list[str]:
        """Return the methods' names, sorted; those of other packages too once they are registered."""
        if registry := sys.modules.get("kerasal.attribution.method"):
            return sorted({*method_names(), *registry.list_methods()})
        return method_names()

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
            row = MethodRow(spec.name, spec.summary, spec.reference, spec.options, argument_help(text))
        app = App(pretty_exceptions_enable=False, add_completion=False)
        app.command(cmd_name)(_command(row))
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


def _command(row):
    """Return the command of a method: a function whose signature has the shared options and the method's own."""
    flags = [flag for parameter in row.options.values() if (flag := _flag(parameter, row)) is not None]

    @with_model("preprocessing", "labels", "weights", "fit")
    @options.with_options("settings", {flag.name: (flag.annotation, flag.default) for flag in flags})
    def command(
        load: Load,
        settings: dict,
        image: options.Image,
        output: _OUTPUT = None,
        class_: options.Class = None,
        channel: options.Channel = None,
        logits: options.Logits = True,
        model_output: options.ModelOutput = None,
    ) -> None:
        output = output or Path(f"{image.stem}-{row.name}.png")
        options.check_output(output, (*options.PICTURES, ".npy"))
        if class_ and channel:
            raise typer.BadParameter("--class and --channel must not be set together.")
        unit = options.read_channel(channel)
        if "quiet" in settings:
            settings["progress"] = not settings.pop("quiet")
        for name, value in settings.items():
            if isinstance(value, str) and float in typing.get_args(row.options[name].annotation):
                settings[name] = options.number_or_word(value)
        from kerasal import images

        photo = images.read(image)  # before anything is loaded, so that a wrong path is reported at once
        model = load()
        import numpy as np

        from kerasal import attribution, objectives
        from kerasal.files import atomic_write

        spec = attribution.method_spec(row.name)
        picture, shown = model.show(photo)
        inputs = shown
        if spec.any_size:
            picture, inputs = model.show(photo, scale=options.FRAME)
        target, name = None, channel
        if class_ is not None:
            target = options.find_class(class_, model)
            name = model.label(target)
        elif unit is not None:
            target = objectives.channel(*unit)
        method = attribution.method_function(spec.name)
        result = method(model.keras_model, inputs, target, output=model_output, logits=logits, **settings)
        maps, *gaps = result if isinstance(result, tuple) else (result,)
        values, top = maps[0], print_top_classes(model, shown)
        name = name or top
        if output.suffix.lower() == ".npy":
            with atomic_write(output) as temporary:
                np.save(temporary, values)
        else:
            about = {"options": settings, "labels": model.labels, "note": model.name, "bgr": model.preprocessing.bgr}
            images.write(output, attribution.attribution_page(spec, picture, values, name or "output 0", **about))
        details = [f"layer {values.layer}"] if hasattr(values, "layer") else []
        details += [f"completeness gap {gap[0]:.3g}" for gap in gaps]
        say(", ".join([f"{output}  {spec.name} of {name or 'the output'}", *details]))

    command.__doc__ = f"{row.summary}\n\nSource: {row.reference}."
    return command


def _flag(parameter: inspect.Parameter, row: MethodRow) -> inspect.Parameter | None:
    """Return a method's option as a parameter that typer understands; None if no flag can hold its values.

    ``int | None`` stays as it is; ``float | Literal["mean"]`` becomes a text that may be a number.
    """
    if parameter.name == "progress":  # a library is quiet, a command is not
        quiet = Annotated[
            options.Quiet,
            Formerly("--progress/--no-progress", kind=bool, convert=operator.not_, now="--quiet"),
        ]
        return parameter.replace(name="quiet", annotation=quiet, default=False)
    kind, default, words = parameter.annotation, parameter.default, ""
    if not _is_plain(kind):
        kinds = [part for part in typing.get_args(kind) if _is_plain(part)]
        if bool in kinds or not kinds:
            return None
        optional = type(None) in typing.get_args(kind)
        if len(kinds) == 1:
            kind = kinds[0] | None if optional else kinds[0]
        else:
            kind, default = str | None if optional else str, None if default is None else str(default)
            words = ", ".join(repr(word) for part in kinds for word in typing.get_args(part))
    usual = f"A number, or {words}." if words else f"Argument {parameter.name} of kerasal.attribution.{row.name}."
    text = row.help.get(parameter.name, usual).replace("[", r"\[")
    annotation: Any = Annotated[kind, Option(help=text)]
    if parameter.name == "layer":
        annotation = Annotated[kind, options.LayerOption(help=text)]
    if parameter.name == "channels":  # --channels are the numbers of channels, in all commands
        annotation = Annotated[kind, Option("--max-channels", help=text), Formerly("--channels"), Sets("channels")]
    return parameter.replace(annotation=annotation, default=default)


def _is_plain(kind: Any) -> bool:
    return kind in (int, float, str, bool) or typing.get_origin(kind) is Literal


@with_model("preprocessing", "labels", "weights", "fit")
def compare(
    load: Load,
    image: options.Image,
    output: Annotated[Path, options.Output(help="The page (.html) or picture (.png, .jpg, .webp) to write.")] = Path(
        "comparison.html"
    ),
    class_: options.Class = None,
) -> None:
    """Show the maps of all attribution methods for one photo side by side."""
    options.check_output(output, (".html", *options.PICTURES))
    from kerasal import images
    from kerasal.files import atomic_write

    photo = images.read(image)
    model = load()
    shown, larger = model.show(photo), model.show(photo, scale=options.FRAME)
    target = None if class_ is None else options.find_class(class_, model)
    from kerasal import attribution

    top = print_top_classes(model, shown[1])
    name = top or "the output" if target is None else model.label(target)
    comparison = attribution.compare_methods(
        model.keras_model, shown, target, larger=larger, bgr=model.preprocessing.bgr, progress=True
    )
    for method, reason in comparison.left_out:
        remark(f"{method}: skipped. {reason}")
    if not comparison.views:
        raise RuntimeError("No method could explain this model. The remarks above give the reasons.")
    title = f"What makes {model.name} see {name!r}"
    if output.suffix.lower() == ".html":
        with atomic_write(output) as temporary:
            temporary.write_text(comparison.html(title), encoding="utf-8")
    else:
        images.write(output, comparison.sheet(title))
    say(f"{output}  {len(comparison.views)} methods")
