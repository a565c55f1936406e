"""``kerasal maximize``: the images that classes or channels would most like to see."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import BadParameter, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading
from kerasal.cli.session import remark, say, write_csv

_STARTS = ("normal", "zero", "mean")


class _Ascent:
    parameterization: Annotated[
        Literal["pixels", "fourier"] | None,
        Option(help="Ascend pixels, or waves in decorrelated colors (recipe olah).", show_default=False),
    ] = None
    steps: Annotated[int | None, Option(help="Ascent steps; by default the recipe's.", min=1)] = None
    step_size: Annotated[float | None, Option(help="Step in gray levels; by default the recipe's.")] = None
    momentum: Annotated[float | None, Option(help="Share of the last step that stays.")] = None
    copies: Annotated[int, Option(help="Images for each class or channel.", min=1)] = 1
    diversity: Annotated[float, Option(help="How strongly copies are driven apart, such as 0.5.", min=0)] = 0.0
    diversity_layer: Annotated[str | None, Option(help="Where copies are compared; by default at the last map.")] = None
    canvas: Annotated[
        Literal["input", "auto"],
        Option(help="The model's image size, or only as large as the layer needs: faster low in a net."),
    ] = "input"
    logits: Annotated[bool, Option(help="Maximize the score before softmax, or the probability.")] = True
    seed: options.Seed = 0


@loading("preprocessing", "labels", "weights")
@options.taking("ascent", _Ascent)
def maximize(
    load: Load,
    ascent: dict,
    class_: Annotated[
        list[str] | None, Option("--class", "-c", help="A class, by name or number; may be repeated.")
    ] = None,
    layer: Annotated[str | None, Option("--layer", "-l", help="A layer, for the grid of its channels.")] = None,
    channels: Annotated[str, Option(help="Which channels of --layer: all, 0-63 or 3,5.")] = "all",
    channel: Annotated[str | None, Option(help="Both in one, as LAYER:0-63; LAYER alone means all.")] = None,
    output: options.Picture = Path("maximized.png"),
    preset: Annotated[
        Literal["simonyan", "tang", "channel", "olah"] | None,
        Option(help="The recipe; by default simonyan for classes, channel for channels.", show_default=False),
    ] = None,
    init: Annotated[
        str | None,
        Option(
            help="The start: normal, zero, mean (gray), or photographs, a file or a folder, whose mean it is. "
            "By default the recipe's."
        ),
    ] = None,
    size: Annotated[int | None, Option(help="Side of the image, for a model or a layer that takes any.", min=1)] = None,
    model_output: options.ModelOutput = None,
    history: Annotated[Path | None, Option(help="Also write the scores, step by step, as CSV.")] = None,
) -> None:
    """Find the images that classes or channels would most like to see.

    For example: kerasal maximize MODEL.keras --class ostrich --preset olah, or kerasal maximize MODEL.keras --layer
    conv1 -o grid.png for all of its channels.
    """
    options.check_output(output, options.PICTURES)
    if history is not None:
        options.refuse_inputs([history])
    wanted = _layer_and_channels(class_, layer, channels, channel)
    opened = load()
    from kerasal import images, maximization

    if wanted is None:
        objectives: list[Any] = [options.find_class(one, opened) for one in class_ or ()]
        names, usual, what = [opened.label(number) for number in objectives], "simonyan", "the class"
    else:
        objectives, names = _channels(opened.keras_model, *wanted)
        usual, what = "channel", wanted[0]
    found = maximization.maximize(
        opened.keras_model,
        objectives,
        preset=preset or (None if ascent["parameterization"] == "fourier" else usual),
        init=read_start(init, opened, options.pair(size)),
        size=options.pair(size),
        output=model_output,
        preprocessing=opened.preprocessing,
        progress=True,
        **ascent,
    )
    shown = _say_dead(found, names)
    title = f"{opened.name}: what {what} would like to see"
    images.write(output, maximization.draw_maximized(found, names, title=title))
    if history is not None:
        write_csv(history, found.history)
    scores = found.history["score"].to_numpy().reshape(len(found.images), -1)
    for i, name in shown[:10]:
        say(f"{name:20} score {scores[i, 0]:10.3g} -> {scores[i, -1]:10.3g}")
    if len(shown) > 10:
        say(f"… and {len(shown) - 10} more; --history FILE writes all")
    say(f"{output}  {len(shown)} image{'s' * (len(shown) != 1)}")


def _layer_and_channels(class_, layer, channels, channel) -> tuple[str, list[int] | None] | None:
    """Read the ways to name channels; None if classes are meant."""
    if sum(map(bool, (class_, layer, channel))) != 1:
        raise BadParameter("give --class (it may be repeated), --layer LAYER or --channel LAYER:0-63")
    if channels != "all" and not layer:
        raise BadParameter("--channels goes with --layer")
    if layer:
        return layer, None if channels == "all" else options.numbers(channels)
    return options.layer_channels(channel) if channel else None


def _channels(model, layer: str, numbers: list[int] | None) -> tuple[list[Any], list[str]]:
    """Return the objectives of channels, and their names."""
    from kerasal import hooks, objectives

    if numbers is None:
        if (count := hooks.channel_count(model, layer)) is None:
            raise ValueError(f"How many channels {layer!r} has is not known beforehand; say --channels 0-63.")
        numbers = list(range(count))
    return [objectives.channel(layer, number) for number in numbers], list(map(str, numbers))


def read_start(text: str | None, model, size: tuple[int, int] | None = None) -> Any:
    """Return what ``maximize`` takes as ``init``: one of its names, or the mean of photographs as a model input."""
    if text is None or text in _STARTS:
        return text
    if not Path(text).exists():
        raise FileNotFoundError(
            f"--init is {', '.join(_STARTS)}, or a photograph or a folder of them. Received: {text}."
        )
    from kerasal.models import mean_input

    mean, count, skipped = mean_input([text], model, size)
    remark(f"Start: the mean of {count} photographs." + (f" Left out: {', '.join(skipped[:5])}." if skipped else ""))
    return mean


def _say_dead(found, names: list[str]) -> list[tuple[int, str]]:
    """Say which images a gradient did not reach; return the positions and names of the others."""
    from kerasal.maximization.result import alive_images, copy_names

    names = copy_names(found, names)
    alive = [(i, names[i]) for i in alive_images(found)]
    if found.dead:
        remark(
            "Not drawn, since from this start no gradient reaches them (another --init or --seed may): "
            f"{', '.join(names[i] for i in found.dead)}."
        )
    if not alive:
        raise ValueError(
            "Every one of them is dead: its gradient is zero at the start and stays so. Try --init normal, or another "
            "--seed."
        )
    return alive
