"""``kerasal feature-maps``, ``filters`` and ``field``: what the layers of a model are made of, and make of images."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading
from kerasal.cli.session import load_tensorflow, remark, results, say, write_csv


@loading("preprocessing", "labels", "weights", "fit")
def feature_maps(
    load: Load,
    image: options.Image,
    layer: Annotated[str, Option(help="Name or path of the layer.")],
    output: Annotated[Path | None, options.Output(help="The picture. Default: IMAGE-LAYER.png.")] = None,
    channels: Annotated[str | None, Option(help="Which, such as 0-63; by default all, at most 256.")] = None,
    scale: Annotated[
        Literal["map", "layer"], Option(help="Each map on its own brightness scale, or one for the layer.")
    ] = "map",
) -> None:
    """Draw the feature maps of a layer for one photograph, as a grid."""
    output = output or Path(f"{image.stem}-{layer.replace('/', '-')}.png")
    options.check_output(output, options.PICTURES)
    chosen = options.numbers(channels) if channels else None
    from kerasal import images

    photograph = images.read(image)
    opened = load()
    from kerasal import features

    maps = features.feature_maps(opened.keras_model, opened.show(photograph)[1], layer)[0]
    sheet = features.draw_feature_maps(maps, chosen, scale=scale, layer=layer, title=f"{opened.name}: {layer}")
    images.write(output, sheet)
    count = maps.shape[2]
    drawn = min(count, 256) if chosen is None else len(chosen)
    of = "" if drawn == count else f" of {count}"
    say(f"{output}  {drawn}{of} channels of {maps.shape[0]} × {maps.shape[1]}")


@loading("preprocessing", "weights")
def filters(
    load: Load,
    layer: Annotated[str | None, Argument(help="A convolution. Default: the first one.")] = None,
    images: Annotated[
        list[Path] | None, Option(help="A folder or file of images to look at too; may be given several times.")
    ] = None,
    output: Annotated[Path | None, options.Output(help="A picture of filters that see 1 or 3 channels.")] = None,
    table: Annotated[Path | None, Option(help="Write a row a filter, as CSV.")] = None,
    fit: options.Fit = "crop",
    size: options.Side = None,
) -> None:
    """Tell which frequencies a convolution's filters see, how much its stride aliases, and which filters are dead.

    For example: kerasal filters MODEL.keras --images PHOTOS/ -o filters.png --table filters.csv.
    """
    options.check_output(output, options.PICTURES)
    options.check_output(table, (".csv",))
    load_tensorflow()
    from kerasal import images as pictures

    files = pictures.find_files(images) if images else None  # first: a wrong path is told before anything is loaded
    opened = load()
    from kerasal import diagnosis

    found = diagnosis.filter_diagnosis(
        opened.keras_model,
        layer,
        files,
        preprocessing=opened.preprocessing,
        fit=fit,
        size=options.pair(size),
        progress=True,
    )
    if found.attrs["skipped"]:
        remark(f"Could not be read: {', '.join(found.attrs['skipped'])}.")
    for line in diagnosis.describe_filters(found):
        say(line)
    if table is not None:
        write_csv(table, found)
        say(f"{table}  {len(found)} filters")
    if output is not None:
        bgr = opened.preprocessing is not None and opened.preprocessing.bgr
        pictures.write(output, diagnosis.draw_filters(opened.keras_model, layer, table=found, bgr=bgr))
        say(str(output))


def field(
    model: options.Model,
    layer: Annotated[str | None, Argument(help="Name or path of one layer; by default all with a map.")] = None,
    size: Annotated[
        int | None, Option(help="Side of the image; by default the model's, or 224 where it takes any.", min=1)
    ] = None,
    unsafe: options.Unsafe = False,
) -> None:
    """List the receptive fields of a model's layers: size, stride and place, in pixels of its input."""
    load_tensorflow()
    from rich.table import Column, Table

    from kerasal import receptive_field
    from kerasal.models import registry

    opened = registry.load_model(model, unsafe=unsafe)
    side = options.pair(size)
    if layer is None:
        found = receptive_field.fields(opened, input_size=side)
    else:
        found = {layer: receptive_field.field(opened, layer, input_size=side)}
    if not found:
        raise ValueError(f"No layer of {opened.name!r} has a spatial map (N, h, w, C).")
    table = Table(Column("layer", no_wrap=True), "map", "channels", "field, px", "stride", "first unit sees")
    for path, one in found.items():
        left, top, right, bottom = one.box(0, 0)
        span, seen = _pair(one.size), _span(left, right, top, bottom)
        if one.whole:
            span, seen = "all", "the whole image"
        table.add_row(path, _pair(one.map_size), str(one.channels), span, _pair(one.stride), seen)
    results().print(table)
    height, width = next(iter(found.values())).input_size
    results().print(f"For images of {height} × {width}; negative places are padding.", style="dim")


def _pair(values) -> str:
    first, second = (f"{value:g}" for value in values)
    return first if first == second else f"{first} × {second}"


def _span(left: int, right: int, top: int, bottom: int) -> str:
    """Say which columns and rows, both ends included; once where they are the same."""
    x, y = f"{left} to {right - 1}", f"{top} to {bottom - 1}"
    return x if x == y else f"x {x}, y {y}"
