"""``kerasal maximize``: images that maximize the score of classes or channels."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import BadParameter, Option

from kerasal.cli import completion, options
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import remark, say, write_csv
from kerasal.names import count_noun

_STARTS = ("normal", "uniform", "zero", "mean")


class _Ascent:
    parameterization: Annotated[
        Literal["pixels", "fourier"] | None,
        Option(help="Ascend pixels, or Fourier coefficients of decorrelated colors (preset olah).", show_default=False),
    ] = None
    steps: Annotated[int | None, Option(help="Number of ascent steps. Default: the preset's.", min=1)] = None
    step_size: Annotated[float | None, Option(help="Length of a step in gray levels. Default: the preset's.")] = None
    momentum: Annotated[
        float | None, Option(help="Share of the last step that is added to the next. Default: the preset's.")
    ] = None
    copies: Annotated[int, Option(help="Number of images per class or channel.", min=1)] = 1
    diversity: Annotated[float, Option(help="Weight of the term that makes copies differ, such as 0.5.", min=0)] = 0.0
    diversity_layer: Annotated[
        str | None,
        Option(
            help="Layer at which copies are compared. Default: the last layer with a map.",
            autocompletion=completion.layers,
        ),
    ] = None
    canvas: Annotated[
        Literal["input", "auto"],
        Option(
            help="Size of the images: that of the model's input, or only the layer's receptive field (auto; faster)."
        ),
    ] = "input"
    display: Annotated[
        Literal["pixels", "contrast", "range"] | None,
        Option(
            help="How the images are drawn: in the colors of their pixels, at the same contrast around gray, or "
            "stretched from black to white. Default: the preset's; pixels for a start of photos.",
            show_default=False,
        ),
    ] = None
    logits: Annotated[bool, Option(help="Maximize the score before softmax; with --no-logits, the probability.")] = True
    seed: options.Seed = 0


@with_json
@with_model("preprocessing", "labels", "weights")
@options.with_options("ascent", _Ascent)
def maximize(
    load: Load,
    ascent: dict,
    class_: Annotated[
        list[str] | None, options.ClassOption(help="Maximize the score of this class, a name or number; repeatable.")
    ] = None,
    layer: Annotated[
        str | None, options.LayerOption(help="Maximize the channels of this layer, a name or path.")
    ] = None,
    channels: Annotated[
        str, options.ChannelsOption(help="Numbers of channels of --layer: all, 0-63 or 3,5. Default: all.")
    ] = "all",
    channel: Annotated[
        str | None,
        Option(
            metavar="LAYER:NUMBERS",
            help="Maximize these channels of a layer, such as conv1:0-63; a layer alone means all its channels.",
            show_default=False,
            autocompletion=completion.layer_channels,
        ),
    ] = None,
    output: options.Picture = Path("maximized.png"),
    preset: Annotated[
        Literal["simonyan", "tang", "channel", "olah", "smooth"] | None,
        Option(
            help="Settings of the ascent. Default: olah for color and large images, smooth for small gray images.",
            show_default=False,
        ),
    ] = None,
    init: Annotated[
        str | None,
        Option(
            help="Start image: normal or uniform (noise), zero, mean (gray), or a file or folder of photos, whose mean "
            "is the start. Default: the preset's."
        ),
    ] = None,
    size: options.Size = None,
    model_output: options.ModelOutput = None,
    history: Annotated[Path | None, Option(help="Also write the scores of all steps as CSV.")] = None,
) -> None:
    """Synthesize images that maximize the score of classes or channels.

    For example: kerasal maximize MODEL.keras --class ostrich, or kerasal maximize MODEL.keras --layer
    conv1 -o grid.png for all channels of a layer.
    """
    options.check_output(output, options.PICTURES)
    if history is not None:
        options.refuse_inputs([history])
    wanted = _read_target(class_, layer, channels, channel)
    image_size = options.read_size(size)
    model = load()
    from kerasal import images, maximization
    from kerasal.hooks.image_shapes import input_layout

    if not input_layout(model.keras_model).is_image:
        raise ValueError(
            f"model must take images for pictures of them, but {model.name!r} takes another input. Call "
            "kerasal.maximize in Python, with value_range, and plot its raw inputs."
        )
    if wanted is None:
        objectives: list[Any] = [options.find_class(name, model) for name in class_ or ()]
        names, what = [model.label(number) for number in objectives], "the score of a class"
    else:
        objectives, names = _channel_objectives(model.keras_model, *wanted)
        what = f"a channel of {wanted[0]}"
    maximized = maximization.maximize(
        model.keras_model,
        objectives,
        preset=preset,
        init=read_start(init, model, image_size),
        size=image_size,
        output=model_output,
        preprocessing=model.preprocessing,
        progress=True,
        **ascent,
    )
    alive = _report_dead(maximized, names)
    title = f"{model.name}: images that maximize {what}"
    images.write(output, maximization.draw_maximized(maximized, names, title=title))
    if history is not None:
        write_csv(history, maximized.history)
    scores = maximized.history["score"].to_numpy().reshape(len(maximized.images), -1)
    images_made = [{"name": name, "first_score": scores[i, 0], "last_score": scores[i, -1]} for i, name in alive]
    record(model=model.name, images=images_made, output=output, history=history)
    for i, name in alive[:10]:
        say(f"{name:20} score {scores[i, 0]:10.3g} -> {scores[i, -1]:10.3g}")
    if len(alive) > 10:
        say(f"… and {len(alive) - 10} more; --history FILE writes all")
    if preset is None and ascent["parameterization"] is None:
        remark(f"Preset: {maximization.default_preset(model.keras_model, model.preprocessing)}.")
    say(f"{output}  {count_noun(len(alive), 'image')}")


def _read_target(class_, layer, channels, channel) -> tuple[str, list[int] | None] | None:
    """Return the layer and its channels (None for all), or None for classes."""
    if sum(map(bool, (class_, layer, channel))) != 1:
        raise BadParameter("Exactly one of --class, --layer LAYER or --channel LAYER:0-63 must be set.")
    if channels != "all" and not layer:
        raise BadParameter("--channels can only be used with --layer.")
    if layer:
        return layer, None if channels == "all" else options.read_numbers(channels)
    return options.read_layer_channels(channel) if channel else None


def _channel_objectives(model, layer: str, numbers: list[int] | None) -> tuple[list[Any], list[str]]:
    """Return the objectives of channels, and their names."""
    from kerasal import hooks, objectives

    if numbers is None:
        if (count := hooks.channel_count(model, layer)) is None:
            raise ValueError(f"The number of channels of {layer!r} is not known. Use --channels 0-63.")
        numbers = list(range(count))
    return [objectives.channel(layer, number) for number in numbers], list(map(str, numbers))


def read_start(text: str | None, model, size: tuple[int, int] | None = None) -> Any:
    """Return the ``init`` of ``maximize``: a name such as ``"zero"``, or the mean of photos as a model input."""
    if text is None or text in _STARTS:
        return text
    if not Path(text).exists():
        raise FileNotFoundError(f"--init must be {', '.join(_STARTS)}, or a file or folder of photos, got {text!r}.")
    from kerasal.models import mean_input

    mean, count, skipped = mean_input([text], model, size)
    remark(
        f"Start: the mean of {count_noun(count, 'photo')}."
        + (f" Skipped: {', '.join(skipped[:5])}." if skipped else "")
    )
    return mean


def _report_dead(maximized, names: list[str]) -> list[tuple[int, str]]:
    """Print the images with a zero gradient; return positions and names of the others."""
    from kerasal.maximization.result import alive_images, copy_names

    names = copy_names(maximized, names)
    alive = [(i, names[i]) for i in alive_images(maximized)]
    if maximized.dead:
        remark(
            "Not drawn, because the gradient is zero from this start (try another --init or --seed): "
            f"{', '.join(names[i] for i in maximized.dead)}."
        )
    if not alive:
        raise RuntimeError(
            "All images have a gradient of zero at the start and at every step. Try --init normal or another --seed."
        )
    return alive
