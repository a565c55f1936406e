"""``kerasal feature-maps``: what each channel of a layer makes of a photograph."""

import pathlib
from typing import Annotated, Literal

import typer

from kerasal.cli import options
from kerasal.cli.session import results


def feature_maps(
    model: options.Model,
    image: options.Image,
    layer: Annotated[str, typer.Option(help="Name or path of the layer.")],
    output: Annotated[
        pathlib.Path | None, typer.Option("--output", "-o", help="The picture. Default: IMAGE-LAYER.png.")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Which, such as 0-63; by default all, at most 256.")] = None,
    scale: Annotated[
        Literal["map", "layer"], typer.Option(help="Each map on its own brightness scale, or one for the layer.")
    ] = "map",
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    fit: options.Fit = "crop",
    unsafe: options.Unsafe = False,
) -> None:
    """Draw the feature maps of a layer for one photograph, as a grid."""
    output = output or pathlib.Path(f"{image.stem}-{layer.replace('/', '-')}.png")
    options.check_output(output, (".png", ".jpg", ".jpeg", ".webp"))
    chosen = options.numbers(channels) if channels else None
    from kerasal import images
    from kerasal.cli import pages
    from kerasal.cli.opening import open_model

    photograph = images.read(image)
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    from kerasal.features import feature_maps as run

    _, inputs = opened.show(photograph, fit)
    maps = run(opened.model, inputs, layer)[0]
    sheet = pages.feature_page(maps, layer, chosen, scale, title=f"{opened.how}: {layer}")
    images.write(output, sheet)
    results().print(f"{output}  {_drawn(maps, chosen)} channels of {maps.shape[0]} × {maps.shape[1]}", markup=False)


def _drawn(maps, chosen) -> str:
    drawn = min(maps.shape[-1], 256) if chosen is None else len(chosen)
    return str(drawn) if drawn == maps.shape[-1] else f"{drawn} of {maps.shape[-1]}"
