"""``kerasal feature-maps``, ``filters`` and ``field``: the activations, kernels and receptive fields of layers."""

from pathlib import Path
from typing import Annotated, Literal

from typer import BadParameter, Option

from kerasal.cli import options
from kerasal.cli.flags import Formerly
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import load_tensorflow, remark, results, say, write_csv
from kerasal.names import count_noun


@with_model("preprocessing", "labels", "weights", "fit")
def feature_maps(
    load: Load,
    image: options.Image,
    layer: Annotated[str | None, options.LayerOption(help="Name or path of the layer; required.")] = None,
    output: Annotated[Path | None, options.Output(help="The picture to write. Default: IMAGE-LAYER.png.")] = None,
    channels: Annotated[
        str | None,
        options.ChannelsOption(help="Numbers of channels, such as 0-63 or 1,5. Default: all, at most 256."),
        Formerly("--channel"),
    ] = None,
    scale: Annotated[
        Literal["map", "layer"],
        Option(help="Scale the brightness of each map separately (map), or of all maps together (layer)."),
    ] = "map",
) -> None:
    """Draw the feature maps of a layer for one photo as a grid."""
    if layer is None:
        raise BadParameter("--layer must name a layer of the model. `kerasal field MODEL` lists them.")
    output = output or Path(f"{image.stem}-{layer.replace('/', '-')}.png")
    options.check_output(output, options.PICTURES)
    chosen = options.read_numbers(channels) if channels else None
    from kerasal import images

    photo = images.read(image)
    model = load()
    from kerasal import features

    maps = features.feature_maps(model.keras_model, model.show(photo)[1], layer)[0]
    sheet = features.draw_feature_maps(maps, chosen, scale=scale, layer=layer, title=f"{model.name}: {layer}")
    images.write(output, sheet)
    count = maps.shape[2]
    drawn = min(count, 256) if chosen is None else len(chosen)
    total = "" if drawn == count else f" of {count}"
    say(f"{output}  {drawn}{total} channels of {maps.shape[0]} × {maps.shape[1]}")


@with_json
@with_model("preprocessing", "weights")
def filters(
    load: Load,
    layer_argument: options.LayerArgument = None,
    layer: Annotated[
        str | None, options.LayerOption(help="Name or path of a convolution. Default: the model's first convolution.")
    ] = None,
    images: Annotated[
        list[Path] | None,
        Option(
            help="A file or folder of images on which to measure the filters' responses; repeatable.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, options.Output(help="The picture to write, of filters with 1 or 3 input channels.")
    ] = None,
    table: Annotated[Path | None, Option(help="Also write a CSV table with a row for each filter.")] = None,
    fit: options.Fit = "crop",
    size: options.Size = None,
) -> None:
    """Report the frequencies of a convolution's filters, the aliasing of its stride, and its dead filters.

    For example: kerasal filters MODEL.keras --images PHOTOS/ -o filters.png --table filters.csv.
    """
    layer = options.choose_layer(layer, layer_argument)
    options.check_output(output, options.PICTURES)
    options.check_output(table, (".csv",))
    image_size = options.read_size(size)
    load_tensorflow()
    from kerasal import images as pictures

    files = pictures.find_files(images) if images else None  # before the model, so a wrong path is reported at once
    model = load()
    from kerasal import diagnosis

    diagnosed = diagnosis.filter_diagnosis(
        model.keras_model,
        layer,
        files,
        preprocessing=model.preprocessing,
        fit=fit,
        size=image_size,
        progress=True,
    )
    if diagnosed.attrs["skipped"]:
        remark(f"Unreadable files were skipped: {', '.join(diagnosed.attrs['skipped'])}.")
    lines = diagnosis.describe_filters(diagnosed)
    record(layer=diagnosed.attrs["layer"], filters=diagnosed, findings=lines, table=table, output=output)
    for line in lines:
        say(line)
    if table is not None:
        write_csv(table, diagnosed)
        say(f"{table}  {count_noun(len(diagnosed), 'filter')}")
    if output is not None:
        bgr = model.preprocessing is not None and model.preprocessing.bgr
        pictures.write(output, diagnosis.draw_filters(model.keras_model, layer, table=diagnosed, bgr=bgr))
        say(str(output))


@with_json
def field(
    model: options.Model,
    layer_argument: options.LayerArgument = None,
    layer: Annotated[
        str | None, options.LayerOption(help="Name or path of a layer. Default: all layers with a spatial map.")
    ] = None,
    size: Annotated[
        str | None,
        Option(
            metavar="HEIGHTxWIDTH",
            help="Size of the input: HEIGHTxWIDTH such as 240x320, or 224 for 224x224. Default: the model's, "
            "or 224 for a model that takes any size.",
            show_default=False,
        ),
    ] = None,
    model_option: options.ModelOption = None,
    unsafe: options.Unsafe = False,
) -> None:
    """List the receptive fields of a model's layers: size, stride and position, in pixels of the input."""
    layer = options.choose_layer(layer, layer_argument)
    input_size = options.read_size(size)
    zoo_options = options.read_options(model_option)
    load_tensorflow()
    from rich.table import Column, Table

    from kerasal import receptive_field
    from kerasal.models import open_model, registry

    if zoo_options:
        keras_model = open_model(model, options=zoo_options, preprocessing="none", unsafe=unsafe).keras_model
    else:
        keras_model = registry.load_model(model, unsafe=unsafe)
    if layer is None:
        fields = receptive_field.fields(keras_model, input_size=input_size)
    else:
        fields = {layer: receptive_field.field(keras_model, layer, input_size=input_size)}
    if not fields:
        raise ValueError(f"The model must have a layer with a spatial map (N, h, w, C), got {keras_model.name!r}.")
    table = Table(Column("layer", no_wrap=True), "map", "channels", "field, px", "stride", "first unit sees")
    rows = []
    for path, unit_field in fields.items():
        sides = {"map_size": unit_field.map_size, "channels": unit_field.channels, "size": unit_field.size}
        first = {"stride": unit_field.stride, "box_of_first_unit": unit_field.box(0, 0), "whole": unit_field.whole}
        rows.append({"layer": path, **sides, **first})
        left, top, right, bottom = unit_field.box(0, 0)
        span, seen = _pair(unit_field.size), _span(left, right, top, bottom)
        if unit_field.whole:
            span, seen = "all", "the whole image"
        stride = _pair(unit_field.stride)
        table.add_row(path, _pair(unit_field.map_size), str(unit_field.channels), span, stride, seen)
    results().print(table)
    height, width = next(iter(fields.values())).input_size
    record(fields=rows, input_size=[height, width])
    results().print(f"For images of {height} × {width}; negative positions are padding.", style="dim")


def _pair(values) -> str:
    first, second = (f"{value:g}" for value in values)
    return first if first == second else f"{first} × {second}"


def _span(left: int, right: int, top: int, bottom: int) -> str:
    """Return the first and last column and row of a box as text; a single range if both ranges are equal."""
    x, y = f"{left} to {right - 1}", f"{top} to {bottom - 1}"
    return x if x == y else f"x {x}, y {y}"
