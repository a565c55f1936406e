"""``kerasal atlas``: a folder of pages on which one's own network can be looked at."""

import re
from pathlib import Path
from typing import Annotated, Literal

from typer import BadParameter, Context, Exit, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading
from kerasal.cli.session import remark, say, when_stopped

_UNTRAINED = "Its weights are random here: what these pages show is what any such network does before it is trained."
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@loading("preprocessing", "labels", "weights", "net_option", "fit")
def atlas(
    context: Context,
    load: Load,
    images: Annotated[
        list[Path] | None,
        Option(help="Photographs, a file or a folder; may be repeated. For exemplars, and for pages of images."),
    ] = None,
    output: Annotated[Path, options.Output(help="The folder: new, empty, or this model's atlas.")] = Path("atlas"),
    layers: Annotated[
        str | None,
        Option(
            help="Which layers' channels: names, patterns such as fire*, or a slice such as :8 or -3:, by commas. "
            "Default: all with a kernel."
        ),
    ] = None,
    classes: Annotated[
        str | None, Option(help="Which classes, by number or name: 0-9, or goldfish,ostrich. Default: all.")
    ] = None,
    channels: Annotated[int, Option(help="At most so many channels a layer (and classes): a sample.", min=1)] = 64,
    image_pages: Annotated[int, Option(help="At most so many pages of images: a sample.", min=1)] = 12,
    budget: Annotated[
        str | None,
        Option(
            help="Begin nothing new after this time, such as 10m, 90s or 1h, counted from when the model is loaded; "
            "the most telling first."
        ),
    ] = None,
    task: Annotated[
        Literal["classification", "gaze", "other"] | None,
        Option(help="What the model is for. Known for zoo models, else told by its output."),
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Make a browsable microscope of a network: pages of its layers, channels, classes and images.

    For example: kerasal atlas MODEL.keras --images PHOTOS/ -o site. Open site/index.html; no server is needed. Stopped,
    by Ctrl-C or --budget, there are pages of what was made, and the same command goes on.
    """
    seconds = None if budget is None else _seconds(budget)
    from kerasal.atlas.atlas_store import check_folder
    from kerasal.images import find_files

    check_folder(output)
    files = find_files(images) if images else None  # first: a wrong path is told before anything is loaded
    opened = load()
    from kerasal.atlas import build

    with when_stopped(f"Stopped. {output / 'index.html'} shows what was made; the same command goes on."):
        built = build(
            opened.keras_model,
            output,
            images=files,
            preprocessing=opened.preprocessing,
            labels=opened.labels,
            name=re.sub(r"\.(keras|h5|hdf5)$", "", opened.name),
            note=_UNTRAINED if opened.untrained else "",
            command=context.obj,
            task=task or opened.task or None,
            layers=None if layers is None else [one.strip() for one in layers.split(",") if one.strip()],
            classes=None if classes is None else _classes(classes, opened),
            channels=channels,
            image_pages=image_pages,
            budget=seconds,
            fit=opened.fit,
            seed=seed,
            progress=True,
        )
    for title, reason in built.failed:
        remark(f"Left out: {title}. {reason}")
    if built.remaining > len(built.failed):
        remark(f"Not complete after {budget}: {', '.join(map(str, built.counts))}. The same command goes on.")
    say(f"{built.index}  {built.pages:,} pages, {built.completed:,} pieces made in {built.seconds:.0f} s")
    if built.failed:
        raise Exit(1)


def _seconds(text: str) -> float:
    """Read 10m, 90s, 1.5h or a number of seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    if not found:
        raise BadParameter(f"--budget is a time such as 10m, 90s or 1h; received {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def _classes(text: str, model) -> list[int]:
    """Read numbers, ranges and names of classes."""
    numbers: list[int] = []
    for part in text.split(","):
        is_range = re.fullmatch(r"\s*\d+(-\d+)?\s*", part)
        numbers += options.numbers(part) if is_range else [options.find_class(part.strip(), model)]
    return list(dict.fromkeys(numbers))
