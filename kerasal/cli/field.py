"""``kerasal field``: how many pixels the units of each layer can see."""

from typing import Annotated

import typer

from kerasal.cli import options
from kerasal.cli.session import load_tensorflow, results


def field(
    model: options.Model,
    layer: Annotated[str | None, typer.Argument(help="Name or path of one layer; by default all with a map.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the image; by default the model's, or 224 where it takes any.", min=1)
    ] = None,
    unsafe: options.Unsafe = False,
) -> None:
    """List the receptive fields of a model's layers: size, stride and place, in pixels of its input."""
    load_tensorflow()
    from rich.table import Column, Table

    from kerasal import receptive_field
    from kerasal.models import registry

    opened = registry.load_model(model, unsafe=unsafe)
    side = None if size is None else (size, size)
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
