"""``kerasal attribute`` and ``compare``: a command for each method, flags read from its signature; and all at once."""

import inspect
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option
from typer.core import TyperGroup

from kerasal.cli import options
from kerasal.cli.opening import Load, loading, print_top_classes
from kerasal.cli.outputs import App
from kerasal.cli.session import load_tensorflow, remark, say

METHODS_HELP = "Show what in a photograph a model's score depends on: kerasal attribute METHOD MODEL IMAGE."

_OUTPUT = Annotated[
    Path | None,
    options.Output(help="The picture (.png, .jpg, .webp), or the raw map (.npy). Default: IMAGE-METHOD.png."),
]
_CHANNEL = Annotated[str | None, Option(help="Explain this channel instead, as LAYER:NUMBER.")]


class MethodGroup(TyperGroup):
    """The commands under ``attribute``, one a method; listed only when asked for, since that loads TensorFlow."""

    def list_commands(self, ctx) -> list[str]:
        """List the methods' names."""
        load_tensorflow()
        from kerasal import attribution

        return attribution.list_methods()

    def get_command(self, ctx, cmd_name: str):
        """Build the command of one method."""
        load_tensorflow()
        from kerasal import attribution

        if cmd_name not in attribution.list_methods():
            from kerasal.names import unknown_name_message

            raise typer.BadParameter(unknown_name_message(cmd_name, attribution.list_methods(), "method"), ctx)
        app = App(pretty_exceptions_enable=False, add_completion=False)
        app.command(cmd_name)(_command(attribution.method_spec(cmd_name)))
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


def _command(spec):
    """Make the function whose signature typer turns into flags: the shared ones and the method's own."""
    flags = [flag for parameter in spec.options.values() if (flag := _flag(parameter)) is not None]

    @loading("preprocessing", "labels", "weights", "fit")
    @options.taking("own", {flag.name: (flag.annotation, flag.default) for flag in flags})
    def command(
        load: Load,
        own: dict,
        image: options.Image,
        output: _OUTPUT = None,
        class_: options.Class = None,
        channel: _CHANNEL = None,
        logits: options.Logits = True,
        model_output: options.ModelOutput = None,
    ) -> None:
        output = output or Path(f"{image.stem}-{spec.name}.png")
        options.check_output(output, (*options.PICTURES, ".npy"))
        if class_ and channel:
            raise typer.BadParameter("give --class or --channel, not both")
        unit = options.one_channel(channel)
        for name, value in own.items():
            if isinstance(value, str) and float in typing.get_args(spec.options[name].annotation):
                own[name] = options.number_or_word(value)
        import numpy as np

        from kerasal import attribution, images, objectives
        from kerasal.files import replacing

        photograph = images.read(image)
        opened = load()
        picture, shown = opened.show(photograph)
        inputs = shown
        if spec.any_size:
            picture, inputs = opened.show(photograph, scale=options.FRAME)
        target, name = None, channel
        if class_ is not None:
            target = options.find_class(class_, opened)
            name = opened.label(target)
        elif unit is not None:
            target = objectives.channel(*unit)
        method = attribution.method_function(spec.name)
        found = method(opened.keras_model, inputs, target, output=model_output, logits=logits, **own)
        maps, *extra = found if isinstance(found, tuple) else (found,)
        values, top = maps[0], print_top_classes(opened, shown)
        name = name or top
        if output.suffix.lower() == ".npy":
            with replacing(output) as temporary:
                np.save(temporary, values)
        else:
            about = {"options": own, "labels": opened.labels, "note": opened.name, "bgr": opened.preprocessing.bgr}
            images.write(output, attribution.attribution_page(spec, picture, values, name or "output 0", **about))
        said = [f"layer {values.layer}"] if hasattr(values, "layer") else []
        said += [f"completeness gap {one[0]:.3g}" for one in extra]
        say(", ".join([f"{output}  {spec.name} of {name or 'the output'}", *said]))

    command.__doc__ = f"{spec.summary}\n\nSource: {spec.reference}."
    return command


def _flag(parameter: inspect.Parameter) -> inspect.Parameter | None:
    """Give an option the one type that a flag has; None if it has no such type.

    ``int | None`` stays so, ``float | Literal["mean"]`` is a text that may be a number.
    """
    kind = parameter.annotation
    if parameter.name == "progress":  # a library is quiet, a command is not
        parameter = parameter.replace(default=True)
    if _is_plain(kind):
        return parameter
    kinds = [one for one in typing.get_args(kind) if _is_plain(one)]
    if bool in kinds or not kinds:
        return None
    optional = type(None) in typing.get_args(kind)
    if len(kinds) == 1:
        return parameter.replace(annotation=kinds[0] | None if optional else kinds[0])
    default = None if parameter.default is None else str(parameter.default)
    words = ", ".join(repr(word) for one in kinds for word in typing.get_args(one))
    text = Annotated[str | None if optional else str, Option(help=f"A number, or {words}.")]
    return parameter.replace(annotation=text, default=default)


def _is_plain(kind: Any) -> bool:
    return kind in (int, float, str, bool) or typing.get_origin(kind) is Literal


@loading("preprocessing", "labels", "weights", "fit")
def compare(
    load: Load,
    image: options.Image,
    output: Annotated[Path, options.Output(help="The page: .html, or a picture (.png, .jpg, .webp).")] = Path(
        "comparison.html"
    ),
    class_: options.Class = None,
) -> None:
    """Show all attribution methods side by side on one photograph: which one should I use?"""
    options.check_output(output, (".html", *options.PICTURES))
    from kerasal import images
    from kerasal.files import replacing

    photograph = images.read(image)
    opened = load()
    shown, larger = opened.show(photograph), opened.show(photograph, scale=options.FRAME)
    target = None if class_ is None else options.find_class(class_, opened)
    from kerasal import attribution

    top = print_top_classes(opened, shown[1])
    name = top or "the output" if target is None else opened.label(target)
    found = attribution.compare_methods(
        opened.keras_model, shown, target, larger=larger, bgr=opened.preprocessing.bgr, progress=True
    )
    for method, reason in found.left_out:
        remark(f"{method}: left out. {reason}")
    if not found.views:
        raise ValueError("No method could explain this model; the remarks above say why.")
    title = f"What makes {opened.name} see {name!r}"
    if output.suffix.lower() == ".html":
        with replacing(output) as temporary:
            temporary.write_text(found.html(title), encoding="utf-8")
    else:
        images.write(output, found.sheet(title))
    say(f"{output}  {len(found.views)} methods")
