"""``kerasal atlas``: a folder of web pages about the layers, channels, classes and images of a model."""

import re
from pathlib import Path
from typing import Annotated, Literal

from typer import BadParameter, Context, Exit, Option

from kerasal.cli import completion, options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import remark, remark_when_stopped, say
from kerasal.names import count_noun

_UNTRAINED = "Its weights are random: the pages show what the model does before it is trained."
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@with_json
@with_model("preprocessing", "labels", "weights", "fit")
def atlas(
    context: Context,
    load: Load,
    images: Annotated[
        list[Path] | None,
        Option(help="A file or folder of photos, for exemplars and for image pages; repeatable."),
    ] = None,
    output: Annotated[
        Path, options.Output(help="The folder to write: new, empty, or an atlas of the same model.")
    ] = Path("atlas"),
    layers: Annotated[
        str | None,
        Option(
            "--layers",
            "-l",
            help="Layers whose channels have pages: names, patterns such as fire*, or slices such as :8 or -3:, "
            "separated by commas. Default: all with a kernel.",
            autocompletion=completion.layer_list,
        ),
    ] = None,
    class_: Annotated[
        list[str] | None,
        options.ClassOption(help="Classes that have pages, by number or name: 0-9, or goldfish,ostrich; repeatable."),
        Formerly("--classes", kind=str, convert=lambda text: [text]),
        Sets("classes"),
    ] = None,
    max_channels: Annotated[
        int,
        Option(
            help="Maximum number of channels per layer, and of classes; if there are more, a sample is shown.", min=1
        ),
        Formerly("--channels"),
        Sets("channels"),
    ] = 64,
    image_pages: Annotated[int, Option(help="Maximum number of image pages.", min=1)] = 12,
    budget: Annotated[
        str | None,
        Option(
            help="Start nothing new after this time, such as 10m, 90s or 1h, counted from when the model is loaded; "
            "the most informative pages come first."
        ),
    ] = None,
    task: Annotated[
        Literal["classification", "gaze", "other"] | None,
        Option(help="Task of the model. Default: that of the zoo model, or inferred from the shape of the output."),
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Build a browsable folder of pages about a model: its layers, channels, classes and images.

    For example: kerasal atlas MODEL.keras --images PHOTOS/ -o site. Open site/index.html; no server is needed. After
    Ctrl-C or the end of --budget, the finished pages can be read, and the same command continues.
    """
    seconds = None if budget is None else _read_seconds(budget)
    from kerasal.atlas.atlas_store import check_folder
    from kerasal.images import find_files

    check_folder(output)
    files = find_files(images) if images else None  # before the model, so that a wrong path is reported at once
    model = load()
    from kerasal.atlas import build

    with remark_when_stopped(f"Stopped. {output / 'index.html'} shows the finished pages; the same command continues."):
        built = build(
            model.keras_model,
            output,
            images=files,
            preprocessing=model.preprocessing,
            labels=model.labels,
            name=re.sub(r"\.(keras|h5|hdf5)$", "", model.name),
            note=_UNTRAINED if model.untrained else "",
            command=context.obj,
            task=task or model.task or None,
            layers=None if layers is None else [name.strip() for name in layers.split(",") if name.strip()],
            classes=_read_classes(class_, model) if class_ else None,
            channels=max_channels,
            image_pages=image_pages,
            budget=seconds,
            fit=model.fit,
            seed=seed,
            progress=True,
        )
    for title, reason in built.failed:
        remark(f"Skipped: {title}. {reason}")
    if built.remaining > len(built.failed):
        remark(f"Not complete after {budget}: {', '.join(map(str, built.counts))}. The same command continues.")
    failed = [{"title": title, "reason": reason} for title, reason in built.failed]
    numbers = {"pages": built.pages, "completed": built.completed, "remaining": built.remaining}
    record(output=built.index, **numbers, failed=failed, seconds=built.seconds)
    done = f"{count_noun(built.pages, 'page')}, {count_noun(built.completed, 'piece')} of work"
    say(f"{built.index}  {done} in {built.seconds:.0f} s")
    if built.failed:
        raise Exit(1)


def _read_seconds(text: str) -> float:
    """Return the seconds of 10m, 90s, 1.5h or a plain number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    if not match:
        raise BadParameter(f"--budget must be a time such as 10m, 90s or 1h, got {text!r}.")
    return float(match[1]) * _UNITS[match[2]]


def _read_classes(texts: list[str], model) -> list[int]:
    """Return the classes of numbers, ranges and names, separated by commas."""
    numbers: list[int] = []
    for part in ",".join(texts).split(","):
        is_range = re.fullmatch(r"\s*\d+(-\d+)?\s*", part)
        numbers += options.read_numbers(part) if is_range else [options.find_class(part.strip(), model)]
    return list(dict.fromkeys(numbers))
