"""``kerasal exemplars``: which images excite a channel most, and what in them does."""

import contextlib
import pathlib
import warnings
from typing import Annotated, Literal

import typer

from kerasal.cli import options
from kerasal.cli.session import remark, results


def exemplars(
    model: options.Model,
    layer: Annotated[str, typer.Argument(help="Name or path of a layer with a map.", show_default=False)],
    images: Annotated[
        list[pathlib.Path], typer.Argument(help="Folders (at any depth) or files of images.", show_default=False)
    ],
    channels: Annotated[
        str | None, typer.Option("--channels", "-c", help="Which, such as 0-8 or 3,17. Default: the first 9.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many images a channel.", min=1)] = 9,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The picture.")] = pathlib.Path(
        "exemplars.png"
    ),
    table: Annotated[
        pathlib.Path | None, typer.Option(help="Also write channel, rank, activation, file and place, as CSV.")
    ] = None,
    rule: Annotated[
        Literal["deconvnet", "guided", "gradient"],
        typer.Option(help="How ReLUs are passed on the way back; a model without any takes gradient."),
    ] = "deconvnet",
    preprocessing: options.Preprocessing = None,
    weights: options.Weights = None,
    fit: options.Fit = "crop",
    size: options.Side = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Find the images that excite channels most, the patch each unit saw, and what of it the unit responds to.

    For example: kerasal exemplars MODEL.keras block3_conv1 PHOTOS/ -c 0-8 -o page.png. At the left of each pair stand
    the deconvnet's reconstructions, at the right the patches. Stopped with Ctrl-C, the same command goes on.
    """
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    chosen = options.numbers(channels) if channels else None
    if table is not None:
        options.check_output(table, (".csv",))
    from kerasal import images as pictures
    from kerasal.cli.opening import open_model

    files = pictures.find_files(images)  # first: a wrong path is told before anything is loaded
    opened = open_model(model, preprocessing=preprocessing, weights=weights, unsafe=unsafe)
    opened.shape()
    from kerasal import hooks, receptive_field

    journal = output.with_name(f".{output.name}.partial")
    if journal.exists():
        remark("A search for this page was stopped before; if it is the same, it goes on from there.")
    with warnings.catch_warnings(), _kept(journal), _naming_the_flag(hooks.NoReLU):
        warnings.simplefilter("ignore", UserWarning)  # what is skipped or missing is told below, on a line of its own
        found = receptive_field.top_exemplars(
            opened.model,
            layer,
            _first(opened.model, layer) if chosen is None else chosen,
            files,
            k,
            preprocessing=opened.preprocessing,
            rule=rule,
            fit=fit,
            size=None if size is None else (size, size),
            journal=journal,
            progress=True,
        )
    height, width = found[0].crops.shape[1:3]
    title = (
        f"{opened.how}, {found[0].layer}: what each channel responds to (left) in the patches of {height} × {width} px "
        "that excite it most (right)"
    )
    pictures.write(output, receptive_field.draw_exemplars(found, title=title))
    if table is not None:
        _write(table, found)
    _tell(found, k, output)


@contextlib.contextmanager
def _naming_the_flag(error_class: type[ValueError]):
    """Add to the error of a model without ReLUs which flag helps."""
    try:
        yield
    except error_class as error:
        raise error_class(f"{error} On the command line: --rule gradient.") from error


@contextlib.contextmanager
def _kept(journal: pathlib.Path):
    """Say, when stopped, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        if journal.exists():
            remark("Stopped. What was seen is kept; the same command goes on.")
        raise


def _first(model, layer: str) -> list[int]:
    """Return the first 9 channels of a layer, or as many as it declares."""
    from kerasal import hooks

    shape = getattr(getattr(hooks.find_layer(model, layer)[1], "output", None), "shape", None)
    return list(range(min(9, shape[-1] if shape and shape[-1] else 9)))


def _tell(found: list, k: int, output: pathlib.Path) -> None:
    first = found[0]
    if first.skipped:
        remark(f"{len(first.skipped)} files could not be read and were skipped:")
        for name, reason in first.skipped:
            remark(f"  {name}: {reason}")
    if len(first) < k:
        remark(f"There were only {first.seen} images for -k {k}.")
    silent = [str(one.channel) for one in found if one.activations[0] <= 0]
    if silent:
        remark(f"Silent, no image excites them: {', '.join(silent)}.")
    for one in found[:10]:
        best = pathlib.Path(one.names[0]).name
        results().print(
            f"channel {one.channel:<5} {one.activations[0]:10.4g} … {one.activations[-1]:<10.4g} {best}", markup=False
        )
    if len(found) > 10:
        results().print(f"… and {len(found) - 10} more; --table FILE.csv writes all", markup=False)
    results().print(f"{output}  {len(found)} channels, {first.seen:,} images", markup=False)


def _write(path: pathlib.Path, found: list) -> None:
    import pandas as pd

    from kerasal.batch.image_list import as_text
    from kerasal.files import replacing

    rows = [
        {
            "channel": one.channel,
            "rank": rank + 1,
            "activation": float(one.activations[rank]),
            "file": as_text(one.names[rank]),
            **dict(zip(("x", "y"), one.positions[rank].tolist(), strict=True)),
            **dict(zip(("x_min", "y_min", "x_max", "y_max"), one.boxes[rank].tolist(), strict=True)),
        }
        for one in found
        for rank in range(len(one))
    ]
    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
