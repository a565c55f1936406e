"""``kerasal attribute METHOD MODEL IMAGE``: a command for each method, its flags read from the method's signature."""

import contextlib
import inspect
import pathlib
import typing
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from kerasal.cli import options
from kerasal.cli.outputs import App
from kerasal.cli.session import load_tensorflow, results

METHODS_HELP = "Show what in a photograph a model's score depends on: kerasal attribute METHOD MODEL IMAGE."

_OUTPUT = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--output", "-o", help="The picture (.png, .jpg, .webp), or the raw map (.npy). Default: IMAGE-METHOD.png."
    ),
]
_CLASS = Annotated[
    str | None, typer.Option("--class", "-c", help="Explain this class, a name or number; default: the top one.")
]
_CHANNEL = Annotated[str | None, typer.Option(help="Explain this channel instead, as LAYER:NUMBER.")]
_LOGITS = Annotated[bool, typer.Option(help="Explain the score before softmax or sigmoid, or the probability.")]
_MODEL_OUTPUT = Annotated[str | None, typer.Option(help="Which output, for a model with several.")]


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

    def command(**given: Any) -> None:
        own = {name: _value(given.pop(name), spec.options[name]) for name in flags}
        _attribute(spec, own=own, **given)

    flags = {name: flag for name, parameter in spec.options.items() if (flag := _flag(parameter)) is not None}
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(name, keyword, annotation=annotation, default=default)
        for name, annotation, default in (
            ("model", options.Model, inspect.Parameter.empty),
            ("image", options.Image, inspect.Parameter.empty),
            ("output", _OUTPUT, None),
            ("class_", _CLASS, None),
            ("channel", _CHANNEL, None),
            ("logits", _LOGITS, True),
            ("model_output", _MODEL_OUTPUT, None),
            ("preprocessing", options.Preprocessing, None),
            ("labels", options.Labels, None),
            ("weights", options.Weights, None),
            ("fit", options.Fit, "crop"),
            ("unsafe", options.Unsafe, False),
        )
    ]
    command.__signature__ = inspect.Signature([*shared, *flags.values()])
    command.__annotations__ = {p.name: p.annotation for p in (*shared, *flags.values())}
    command.__doc__ = f"{spec.summary}\n\nSource: {spec.reference}."
    return command


def _flag(parameter: inspect.Parameter) -> inspect.Parameter | None:
    """Give an option the one type that a flag has; None if it has no such type.

    ``int | None`` stays so, ``float | Literal["mean"]`` is a text that ``_value`` reads.
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
    text = Annotated[str | None if optional else str, typer.Option(help=f"A number, or {words}.")]
    return parameter.replace(annotation=text, default=default)


def _is_plain(kind: Any) -> bool:
    return kind in (int, float, str, bool) or typing.get_origin(kind) is Literal


def _value(given: Any, parameter: inspect.Parameter) -> Any:
    """Read a text as the number that it may stand for."""
    if isinstance(given, str) and float in typing.get_args(parameter.annotation):
        with contextlib.suppress(ValueError):
            return float(given)
    return given


def _attribute(
    spec,
    *,
    own,
    model,
    image,
    output,
    class_,
    channel,
    logits,
    model_output,
    preprocessing,
    labels,
    weights,
    fit,
    unsafe,
) -> None:
    """Explain one photograph and write the picture."""
    output = output or pathlib.Path(f"{image.stem}-{spec.name}.png")
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp", ".npy"))
    if class_ and channel:
        raise typer.BadParameter("give --class or --channel, not both")
    import numpy as np

    from kerasal import attribution, images, objectives
    from kerasal.cli import pages
    from kerasal.cli.opening import open_model
    from kerasal.files import replacing
    from kerasal.labels import find, short

    photograph = images.read(image)
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    picture, inputs = opened.show(photograph, fit)
    shown = inputs
    if spec.any_size:  # cut crops of 224 out of 256, as the paper does
        picture, inputs = opened.show(photograph, fit, scale=256 / 224)
    target, name = None, None
    if class_ is not None:
        target = find(class_, opened.labels)
        name = short(opened.labels, target)
    elif channel is not None:
        layer, channels = options.layer_channels(channel)
        if channels is None or len(channels) != 1:
            raise typer.BadParameter(f"--channel is LAYER:NUMBER; received {channel!r}")
        target = objectives.channel(layer, channels[0])
        name = channel
    method = getattr(attribution, spec.name)
    maps = method(opened.model, inputs, target, output=model_output, logits=logits, **own)
    extra = [] if isinstance(maps, np.ndarray) else maps[1:]
    values = maps[0] if isinstance(maps, np.ndarray) else maps[0][0]
    top = pages.print_top_classes(opened, shown)
    if output.suffix.lower() == ".npy":
        with replacing(output) as temporary:
            np.save(temporary, values)
    else:
        page = pages.attribution_page(spec, opened, picture, values, name or top or "output 0", own)
        images.write(output, page)
    said = [f"layer {values.layer}"] if hasattr(values, "layer") else []
    said += [f"completeness gap {one[0]:.3g}" for one in extra]
    results().print(", ".join([f"{output}  {spec.name} of {name or top or 'the output'}", *said]), markup=False)
