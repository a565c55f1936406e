"""``kerasal patterns``: what each channel of a layer paints when one of its units is switched on."""

import pathlib
from typing import Annotated

import typer

from kerasal.cli import options
from kerasal.cli.session import remark, results

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FIRST = 64


def patterns(
    model: options.Model,
    layer: Annotated[str, typer.Argument(help="Name or path of a layer with a map.", show_default=False)],
    channels: Annotated[
        str | None, typer.Option("--channels", "-c", help="Which, such as 0-63 or 1,5; by default the first 64.")
    ] = None,
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The picture.")] = pathlib.Path("patterns.png"),
    against: Annotated[
        str | None, typer.Option(help="A second model: both side by side, with their similarity.", show_default=False)
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Also feed each pattern forward: OUTPUT-validation.png and .csv.")
    ] = False,
    propagate: Annotated[
        int | None,
        typer.Option(help="Also draw this channel clamped to 0.5 … 3: OUTPUT-propagation.png.", min=0),
    ] = None,
    rescale: Annotated[
        float | None, typer.Option(help="With --validate: bring each pattern's largest value to this, such as 128.")
    ] = None,
    preprocessing: options.Preprocessing = None,
    weights: options.Weights = None,
    net_option: options.NetOption = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Paint what the channels of a layer are attuned to, by carrying one clamped unit back to the pixels.

    For example: kerasal patterns vgg19 block1_pool --weights vgg19.npz, or kerasal patterns NET.keras conv2 -c 0-15.
    """
    options.check_output(output, _SUFFIXES)
    drawn = [("validation", None), ("validation", ".csv"), ("propagation", None)]
    options.refuse_inputs(_beside(output, what, suffix) for what, suffix in drawn)
    if rescale is not None and not validate:
        raise typer.BadParameter("--rescale goes with --validate")
    chosen = options.numbers(channels) if channels else None
    from kerasal.cli.opening import open_model

    opened = open_model(model, preprocessing=preprocessing, weights=weights, net_options=net_option, unsafe=unsafe)
    other = None if against is None else open_model(against, preprocessing=preprocessing, unsafe=unsafe)
    from kerasal import images, receptive_field
    from kerasal.receptive_field.patterns.painter import Painter

    painter = Painter(opened.model, layer)
    chosen = painter.channels(range(min(painter.count, _FIRST)) if chosen is None else chosen)
    size = "{} × {}".format(*painter.field_size)
    notes = tuple("" if one is None else _note(one, len(chosen), painter.count) for one in (opened, other))
    bgr = opened.preprocessing is not None and opened.preprocessing.bgr
    if opened.preprocessing is None:
        remark("Colours: the model's channels are taken for red, green, blue (--preprocessing caffe for the reverse).")
    title = f"{_named(opened, weights)}: what {painter.path} is attuned to, {size} px"
    if other is None:
        found = receptive_field.patterns(opened.model, painter.path, chosen, progress=True)
        sheet = receptive_field.draw_patterns(found, chosen, title=title, note=notes[0], bgr=bgr)
        silent = int((~found.any(axis=(1, 2, 3))).sum())
        more = f", {silent} silent" if silent else ""
    else:
        both = receptive_field.compare_patterns(opened.model, other.model, painter.path, chosen, progress=True)
        names = (_named(opened, weights), _named(other))
        sheet = receptive_field.draw_comparison(both, names, title=f"{painter.path}, {size} px", notes=notes, bgr=bgr)
        more = _compared(both.table, names)
    images.write(output, sheet)
    results().print(f"{output}  {len(chosen)} patterns of {size} px{more}", markup=False, soft_wrap=True)
    if validate:
        _validate(opened, painter.path, chosen, rescale, output)
    if propagate is not None:
        _propagate(opened, painter.path, propagate, bgr, output)


def _note(opened, shown: int, count: int) -> str:
    parts = ["UNTRAINED: random weights, so these patterns mean nothing"] if opened.untrained else []
    parts += [f"{shown} of {count} channels (--channels for others)"] if shown < count else []
    return "; ".join(parts)


def _named(opened, weights: str | None = None) -> str:
    own = pathlib.Path(weights).name if weights else "random weights" if opened.untrained else ""
    return f"{opened.how} ({own})" if own else opened.how


def _compared(table, names: tuple[str, str]) -> str:
    means = table.mean(numeric_only=True)
    return (
        f"; mean cosine similarity {means['similarity']:.3f}; mean centre-surround score "
        f"{means['center_surround_left']:.3f} ({names[0]}), {means['center_surround_right']:.3f} ({names[1]})"
    )


def _beside(output: pathlib.Path, what: str, suffix: str | None = None) -> pathlib.Path:
    return output.with_name(f"{output.stem}-{what}{suffix or output.suffix}")


def _validate(opened, layer: str, chosen, rescale: float | None, output: pathlib.Path) -> None:
    from kerasal import images, receptive_field
    from kerasal.files import replacing

    table = receptive_field.validate_patterns(opened.model, layer, chosen, rescale=rescale, progress=True)
    with replacing(_beside(output, "validation", ".csv")) as temporary:
        table.to_csv(temporary, index=False)
    one = receptive_field.validate_pattern(opened.model, layer, int(chosen[0]), rescale=rescale)
    title = f"{opened.how}: the answer of {layer} to the pattern of channel {chosen[0]}"
    title += " (UNTRAINED)" if opened.untrained else ""
    drawn = _beside(output, "validation")
    images.write(drawn, receptive_field.draw_validation(one, title=title))
    results().print(
        f"{drawn}  channel {chosen[0]}: rank {one.attrs['rank']} of {len(one)}, {one.attrs['above']} above, "
        f"{one.attrs['silent']} silent",
        markup=False,
        soft_wrap=True,
    )
    results().print(
        f"{_beside(output, 'validation', '.csv')}  {(table['rank'] == 1).sum()} of {len(table)} channels answer their "
        f"own pattern most; median rank {table['rank'].median():g} of {len(one)}",
        markup=False,
        soft_wrap=True,
    )


def _propagate(opened, layer: str, channel: int, bgr: bool, output: pathlib.Path) -> None:
    from kerasal import images, receptive_field

    found = receptive_field.propagation(opened.model, layer, channel)
    title = f"{opened.how}: {layer}, channel {channel}" + (" (UNTRAINED)" if opened.untrained else "")
    drawn = _beside(output, "propagation")
    images.write(drawn, receptive_field.draw_propagation(found, title=title, bgr=bgr))
    areas = ", ".join(f"{area}" for area in found.table["area"])
    results().print(f"{drawn}  pixels reached: {areas}", markup=False, soft_wrap=True)
