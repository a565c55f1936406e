"""``kerasal maximize``: the images that classes or channels would most like to see."""

import dataclasses
import pathlib
from typing import Annotated, Any, Literal

import typer

from kerasal.cli import options
from kerasal.cli.session import remark, results


def maximize(
    model: options.Model,
    class_: Annotated[
        list[str] | None, typer.Option("--class", "-c", help="A class, by name or number; may be repeated.")
    ] = None,
    layer: Annotated[str | None, typer.Option("--layer", "-l", help="A layer, for the grid of its channels.")] = None,
    channels: Annotated[str, typer.Option(help="Which channels of --layer: all, 0-63 or 3,5.")] = "all",
    channel: Annotated[str | None, typer.Option(help="Both in one, as LAYER:0-63; LAYER alone means all.")] = None,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The picture.")] = pathlib.Path(
        "maximized.png"
    ),
    preset: Annotated[
        Literal["simonyan", "tang", "channel", "olah"] | None,
        typer.Option(help="The recipe; by default simonyan for classes, channel for channels.", show_default=False),
    ] = None,
    parameterization: Annotated[
        Literal["pixels", "fourier"] | None,
        typer.Option(help="Ascend pixels, or waves in decorrelated colours (recipe olah).", show_default=False),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Ascent steps; by default the recipe's.", min=1)] = None,
    step_size: Annotated[float | None, typer.Option(help="Step in grey levels; by default the recipe's.")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="The start: normal, zero, mean (grey), or photographs, a file or a folder, whose mean it is. "
            "By default the recipe's."
        ),
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Share of the last step that stays.")] = None,
    copies: Annotated[int, typer.Option(help="Images for each class or channel.", min=1)] = 1,
    diversity: Annotated[float, typer.Option(help="How strongly copies are driven apart, such as 0.5.", min=0)] = 0.0,
    diversity_layer: Annotated[
        str | None, typer.Option(help="Where copies are compared; by default at the last map.")
    ] = None,
    canvas: Annotated[
        Literal["input", "auto"],
        typer.Option(help="The model's image size, or only as large as the layer needs: faster low in a net."),
    ] = "input",
    size: Annotated[
        int | None, typer.Option(help="Side of the image, for a model or a layer that takes any.", min=1)
    ] = None,
    logits: Annotated[bool, typer.Option(help="Maximise the score before softmax, or the probability.")] = True,
    model_output: Annotated[str | None, typer.Option(help="Which output, for a model with several.")] = None,
    history: Annotated[pathlib.Path | None, typer.Option(help="Also write the scores, step by step, as CSV.")] = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    unsafe: options.Unsafe = False,
    seed: options.Seed = 0,
) -> None:
    """Find the images that classes or channels would most like to see.

    For example: kerasal maximize MODEL.keras --class ostrich --preset olah, or kerasal maximize MODEL.keras --layer
    conv1 -o grid.png for all of its channels.
    """
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    if history is not None:
        options.refuse_inputs([history])
    wanted = _layer_and_channels(class_, layer, channels, channel)
    from kerasal.cli.mean_image import start_of
    from kerasal.cli.opening import open_model
    from kerasal.files import replacing

    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    from kerasal.maximization import maximize as run

    asked = _classes(opened, class_) if wanted is None else _channels(opened.model, *wanted)
    found = run(
        opened.model,
        asked.objectives,
        preset=preset or (None if parameterization == "fourier" else asked.preset),
        parameterization=parameterization,
        init=start_of(init, opened, None if size is None else (size, size)),
        steps=steps,
        step_size=step_size,
        momentum=momentum,
        copies=copies,
        diversity=diversity,
        diversity_layer=diversity_layer,
        canvas=canvas,
        size=None if size is None else (size, size),
        logits=logits,
        output=model_output,
        preprocessing=opened.preprocessing,
        seed=seed,
        progress=True,
    )
    _draw(output, found, asked, opened.how, copies)
    if history is not None:
        with replacing(history) as temporary:
            found.history.to_csv(temporary, index=False)
    _report(output, found, asked, copies)


@dataclasses.dataclass
class _Asked:
    """What is to be maximised, with a name each, the recipe for it, and what the title calls it."""

    objectives: list[Any]
    names: list[str]
    preset: str
    title: str

    def labels(self, copies: int) -> list[str]:
        """Return a label for each image."""
        if copies == 1:
            return self.names
        return [f"{name}, {copy + 1} of {copies}" for name in self.names for copy in range(copies)]


def _layer_and_channels(class_, layer, channels, channel) -> tuple[str, list[int] | None] | None:
    """Read the ways to name channels; None if classes are meant."""
    if sum(map(bool, (class_, layer, channel))) != 1:
        raise typer.BadParameter("give --class (it may be repeated), --layer LAYER or --channel LAYER:0-63")
    if channels != "all" and not layer:
        raise typer.BadParameter("--channels goes with --layer")
    if layer:
        return layer, None if channels == "all" else options.numbers(channels)
    return options.layer_channels(channel) if channel else None


def _classes(opened, class_: list[str]) -> _Asked:
    from kerasal import labels as class_names

    numbers = [class_names.find(one, opened.labels) for one in class_]
    return _Asked(numbers, [class_names.short(opened.labels, number) for number in numbers], "simonyan", "the class")


def _channels(model, layer: str, numbers: list[int] | None) -> _Asked:
    from kerasal import objectives

    numbers = numbers if numbers is not None else list(range(_channel_count(model, layer)))
    asked = [objectives.channel(layer, number) for number in numbers]
    return _Asked(asked, [str(number) for number in numbers], "channel", layer)


def _channel_count(model, layer: str) -> int:
    """Return how many channels a layer has, from the shape that it declares."""
    from kerasal import hooks

    path, found = hooks.find_layer(model, layer)
    output = getattr(found, "output", None)
    if output is None or not hasattr(output, "shape") or output.shape[-1] is None:
        raise ValueError(f"How many channels {path!r} has is not known beforehand; say --channels 0-63.")
    return int(output.shape[-1])


def _draw(output: pathlib.Path, found, asked: _Asked, how: str, copies: int) -> None:
    """Write the picture of what is alive, and say what is not."""
    from kerasal import images

    labels = asked.labels(copies)
    alive = [i for i in range(len(labels)) if i not in found.dead]
    if found.dead:
        remark(
            "Not drawn, since from this start no gradient reaches them (another --init or --seed may): "
            f"{', '.join(labels[i] for i in found.dead)}."
        )
    if not alive:
        raise ValueError(
            "Every one of them is dead: its gradient is zero at the start and stays so. Try --init normal, or another "
            "--seed."
        )
    height, width = found.images.shape[1:3]
    note = f"{height} × {width} pixels each"
    if found.dead:
        note += f"; {len(found.dead)} not drawn: no gradient reached them"
    picture = images.grid(
        [found.images[i] for i in alive],
        [labels[i] for i in alive],
        columns=copies if copies > 1 and not found.dead else None,
        title=f"{how}: what {asked.title} would like to see",
        note=note,
        tile=_tile(max(height, width), len(alive)),
    )
    images.write(output, picture)


def _report(output: pathlib.Path, found, asked: _Asked, copies: int) -> None:
    labels = asked.labels(copies)
    alive = [i for i in range(len(labels)) if i not in found.dead]
    scores = found.history["score"].to_numpy().reshape(len(labels), -1)
    for i in alive[:10]:
        results().print(f"{labels[i]:20} score {scores[i, 0]:10.3g} -> {scores[i, -1]:10.3g}", markup=False)
    if len(alive) > 10:
        results().print(f"… and {len(alive) - 10} more; --history FILE writes all", markup=False)
    results().print(f"{output}  {len(alive)} image{'s' * (len(alive) != 1)}", markup=False)


def _tile(side: int, count: int) -> int:
    """Return the side of a tile: fine patterns must not be averaged away by shrinking, so at least the image's own."""
    return max(min(side, 256), 320 if count <= 4 else 160 if count <= 16 else 84)
