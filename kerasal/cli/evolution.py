"""``kerasal evolution``: the strip of features that came about while a network was trained."""

import pathlib
import warnings
from typing import Annotated

import typer

from kerasal.cli import options
from kerasal.cli.session import load_tensorflow, remark, results


def evolution(
    folder: Annotated[
        pathlib.Path,
        typer.Argument(
            help="What kerasal train MODEL --evolution FOLDER, or the callback FeatureEvolution, wrote.",
            show_default=False,
        ),
    ],
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", help="The picture. Default: FOLDER/evolution.png.")
    ] = None,
    features: Annotated[
        list[str] | None, typer.Option("--features", "-f", help="Which, as LAYER:0-7; may be repeated. Default: all.")
    ] = None,
    patches: Annotated[bool, typer.Option(help="End each row with the patch that excites the feature last.")] = True,
    tile: Annotated[int, typer.Option(help="Side of a cell in pixels.", min=8)] = 64,
    title: Annotated[str, typer.Option(help="One line above.")] = "",
) -> None:
    """Draw how features came about in training: rows are features, columns the epochs that were stored."""
    output = output or folder / "evolution.png"
    wanted = [options.layer_channels(text) for text in features or ()]
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"), folders=False)  # it reads epochs there
    load_tensorflow()
    from kerasal import images, receptive_field

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = receptive_field.read_evolution(folder)
    for warning in caught:
        remark(str(warning.message))
    chosen = [
        (layer, channel)
        for layer, channels in wanted
        for channel in (channels or [number for other, number in found.features if other == layer])
    ]
    picture = receptive_field.draw_evolution(
        found, chosen if features else None, title=title, patches=patches, tile=tile
    )
    images.write(output, picture)
    listed = ", ".join(map(str, found.epochs))
    results().print(f"{output}  {len(chosen) or len(found.features)} features, epochs {listed}", markup=False)
