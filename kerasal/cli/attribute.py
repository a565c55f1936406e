"""``kerasal attribute METHOD MODEL IMAGE``: a command for each method, its flags read from the method's signature."""

import inspect
import pathlib
import types
import typing
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from kerasal.cli import options
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
            from kerasal.naming import closest

            raise typer.BadParameter(closest(cmd_name, attribution.list_methods(), "method"), ctx)
        app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        app.command(cmd_name)(_command(attribution.method_spec(cmd_name)))
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


def _command(spec):
    """Make the function whose signature typer turns into flags: the shared ones and the method's own."""

    def command(**given: Any) -> None:
        own = {name: given.pop(name) for name in flags}
        _attribute(spec, own=own, **given)

    flags = {name: parameter for name, parameter in spec.options.items() if _is_flag(parameter)}
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


def _is_flag(parameter: inspect.Parameter) -> bool:
    """Tell whether an option can be typed: a number, a word, a choice, or one of these or None."""
    kinds = [kind for kind in typing.get_args(parameter.annotation) if kind is not type(None)]
    if isinstance(parameter.annotation, types.UnionType) and len(kinds) == 1:
        return kinds[0] in (int, float, str)
    return parameter.annotation in (int, float, str, bool) or typing.get_origin(parameter.annotation) is Literal


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
        images.write(output, pages.attribution_page(spec, opened, picture, values, name or top or "output 0"))
    said = [f"layer {values.layer}"] if hasattr(values, "layer") else []
    said += [f"completeness gap {one[0]:.3g}" for one in extra]
    results().print(", ".join([f"{output}  {spec.name} of {name or top or 'the output'}", *said]), markup=False)
