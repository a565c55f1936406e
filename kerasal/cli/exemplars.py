"""``kerasal exemplars`` and ``evolution``: which images excite a channel, and how features came about in training."""

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading
from kerasal.cli.session import hinting, load_tensorflow, remark, say, warnings_as_remarks, when_stopped, write_csv


@loading("preprocessing", "weights")
def exemplars(
    load: Load,
    layer: options.Layer,
    images: Annotated[list[Path], Argument(help="Folders (at any depth) or files of images.", show_default=False)],
    channels: Annotated[
        str | None, Option("--channels", "-c", help="Which, such as 0-8 or 3,17. Default: the first 9.")
    ] = None,
    k: Annotated[int, Option("-k", help="How many images a channel.", min=1)] = 9,
    output: options.Picture = Path("exemplars.png"),
    table: Annotated[Path | None, Option(help="Also write channel, rank, activation, file and place, as CSV.")] = None,
    rule: Annotated[
        Literal["deconvnet", "guided", "gradient"],
        Option(help="How ReLUs are passed on the way back; a model without any takes gradient."),
    ] = "deconvnet",
    fit: options.Fit = "crop",
    size: options.Side = None,
) -> None:
    """Find the images that excite channels most, the patch each unit saw, and what of it the unit responds to.

    For example: kerasal exemplars MODEL.keras block3_conv1 PHOTOS/ -c 0-8 -o page.png. At the left of each pair stand
    the deconvnet's reconstructions, at the right the patches. Stopped with Ctrl-C, the same command goes on.
    """
    options.check_output(output, options.PICTURES)
    chosen = options.numbers(channels) if channels else None
    options.check_output(table, (".csv",))
    from kerasal import images as pictures

    files = pictures.find_files(images)  # first: a wrong path is told before anything is loaded
    opened = load()
    from kerasal import hooks, receptive_field

    journal = output.with_name(f".{output.name}.partial")
    if journal.exists():
        remark("A search for this page was stopped before; if it is the same, it goes on from there.")
    if chosen is None:
        chosen = list(range(min(9, hooks.channel_count(opened.keras_model, layer) or 9)))
    kept = "Stopped. What was seen is kept; the same command goes on."
    with (
        warnings.catch_warnings(),
        when_stopped(lambda: kept if journal.exists() else ""),
        hinting(hooks.NoReLU, "On the command line: --rule gradient."),
    ):
        warnings.simplefilter("ignore", UserWarning)  # what is skipped or missing is told below, on a line of its own
        found: Any = receptive_field.top_exemplars(
            opened.keras_model,
            layer,
            chosen,
            files,
            k,
            preprocessing=opened.preprocessing,
            rule=rule,
            fit=fit,
            size=options.pair(size),
            journal=journal,
            progress=True,
        )
    height, width = found[0].crops.shape[1:3]
    title = (
        f"{opened.name}, {found[0].layer}: what each channel responds to (left) in the patches of {height} × {width} "
        "px that excite it most (right)"
    )
    pictures.write(output, receptive_field.draw_exemplars(found, title=title))
    if table is not None:
        write_csv(table, receptive_field.exemplar_table(found))
    _report(found, k, output)


def _report(found: list, k: int, output: Path) -> None:
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
        best = Path(one.names[0]).name
        say(f"channel {one.channel:<5} {one.activations[0]:10.4g} … {one.activations[-1]:<10.4g} {best}")
    if len(found) > 10:
        say(f"… and {len(found) - 10} more; --table FILE.csv writes all")
    say(f"{output}  {len(found)} channels, {first.seen:,} images")


def evolution(
    folder: Annotated[
        Path,
        Argument(
            help="What kerasal train MODEL --evolution FOLDER, or the callback FeatureEvolution, wrote.",
            show_default=False,
        ),
    ],
    output: Annotated[Path | None, options.Output(help="The picture. Default: FOLDER/evolution.png.")] = None,
    features: Annotated[
        list[str] | None, Option("--features", "-f", help="Which, as LAYER:0-7; may be repeated. Default: all.")
    ] = None,
    patches: Annotated[bool, Option(help="End each row with the patch that excites the feature last.")] = True,
    tile: Annotated[int, Option(help="Side of a cell in pixels.", min=8)] = 64,
    title: Annotated[str, Option(help="One line above.")] = "",
) -> None:
    """Draw how features came about in training: rows are features, columns the epochs that were stored."""
    output = output or folder / "evolution.png"
    wanted = [options.layer_channels(text) for text in features or ()]
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    options.check_output(output, options.PICTURES, folders=False)  # it reads epochs there
    load_tensorflow()
    from kerasal import images, receptive_field

    with warnings_as_remarks():
        found = receptive_field.read_evolution(folder)
    chosen = [
        (layer, channel)
        for layer, channels in wanted
        for channel in (channels or [number for other, number in found.features if other == layer])
    ]
    drawn = receptive_field.draw_evolution(found, chosen if features else None, title=title, patches=patches, tile=tile)
    images.write(output, drawn)
    listed = ", ".join(map(str, found.epochs))
    say(f"{output}  {len(chosen) or len(found.features)} features, epochs {listed}")
