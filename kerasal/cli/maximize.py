"""``kerasal maximize``: the images that classes or channels would most like to see."""

import pathlib
from typing import Annotated, Literal

import typer

from kerasal.cli import options
from kerasal.cli.session import remark, results


def maximize(
    model: options.Model,
    class_: Annotated[
        list[str] | None, typer.Option("--class", "-c", help="A class, by name or number; may be repeated.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Channels, as LAYER:0-63; LAYER alone means all.")] = None,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The picture.")] = pathlib.Path(
        "maximized.png"
    ),
    preset: Annotated[
        Literal["simonyan", "tang", "channel"] | None,
        typer.Option(help="The recipe; by default simonyan for classes, channel for channels.", show_default=False),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Ascent steps; by default the recipe's.", min=1)] = None,
    step_size: Annotated[float | None, typer.Option(help="Step in grey levels; by default the recipe's.")] = None,
    init: Annotated[
        Literal["normal", "zero", "mean"] | None, typer.Option(help="The start; by default the recipe's.")
    ] = None,
    momentum: Annotated[float, typer.Option(help="Share of the last step that is kept.")] = 0.0,
    logits: Annotated[bool, typer.Option(help="Maximise the score before softmax, or the probability.")] = True,
    model_output: Annotated[str | None, typer.Option(help="Which output, for a model with several.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the image, for a model that takes any.", min=1)] = None,
    history: Annotated[pathlib.Path | None, typer.Option(help="Also write the scores, step by step, as CSV.")] = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    unsafe: options.Unsafe = False,
    seed: options.Seed = 0,
) -> None:
    """Find the images that classes or channels would most like to see.

    For example: kerasal maximize mnist_cnn --class 3 --class 8, or kerasal maximize MODEL.keras --channel conv1:0-63.
    """
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    if bool(class_) == bool(channel):
        raise typer.BadParameter("give --class (it may be repeated) or --channel LAYER:0-63")
    wanted = options.layer_channels(channel) if channel else None
    from kerasal import images
    from kerasal import labels as class_names
    from kerasal.cli.opening import open_model
    from kerasal.files import replacing

    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    from kerasal import objectives
    from kerasal.maximization import maximize as run

    if wanted is None:
        numbers = [class_names.find(one, opened.labels) for one in class_]
        asked = [objectives.class_score(number) for number in numbers]
        names = [class_names.short(opened.labels, number) for number in numbers]
    else:
        layer, numbers = wanted
        numbers = numbers if numbers is not None else list(range(_channels(opened.model, layer)))
        asked = [objectives.channel(layer, number) for number in numbers]
        names = [str(number) for number in numbers]
    found = run(
        opened.model,
        asked,
        preset=preset or ("simonyan" if wanted is None else "channel"),
        init=init,
        steps=steps,
        step_size=step_size,
        momentum=momentum,
        logits=logits,
        output=model_output,
        preprocessing=opened.preprocessing,
        size=None if size is None else (size, size),
        seed=seed,
        progress=True,
    )
    alive = [i for i in range(len(asked)) if i not in found.dead]
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
    title = f"{opened.how}: what {'the class' if wanted is None else wanted[0]} would like to see"
    note = f"{len(found.dead)} not drawn: no gradient reached them" if found.dead else ""
    tile = _tile(found.images.shape[1], len(alive))
    images.write(
        output,
        images.grid([found.images[i] for i in alive], [names[i] for i in alive], title=title, note=note, tile=tile),
    )
    if history is not None:
        with replacing(history) as temporary:
            found.history.to_csv(temporary, index=False)
    last = found.history.groupby("objective", sort=False)["score"].agg(["first", "last"])
    for i in alive[:10]:
        first, final = last.loc[asked[i].description]
        results().print(f"{names[i]:20} score {first:10.3g} -> {final:10.3g}", markup=False)
    if len(alive) > 10:
        results().print(f"… and {len(alive) - 10} more; --history FILE writes all", markup=False)
    results().print(f"{output}  {len(alive)} image{'s' * (len(alive) != 1)}", markup=False)


def _tile(side: int, count: int) -> int:
    """Return the side of a tile: fine patterns must not be averaged away by shrinking, so at least the image's own."""
    return max(min(side, 256), 320 if count <= 4 else 160 if count <= 16 else 84)


def _channels(model, layer: str) -> int:
    """Return how many channels a layer has, from the shape that it declares."""
    from kerasal import hooks

    path, found = hooks.find_layer(model, layer)
    output = getattr(found, "output", None)
    if output is None or not hasattr(output, "shape") or output.shape[-1] is None:
        raise ValueError(f"How many channels {path!r} has is not known beforehand; say --channel {path}:0-63.")
    return int(output.shape[-1])
