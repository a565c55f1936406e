"""``kerasal patterns``: what each channel of a layer paints when one of its units is switched on."""

from pathlib import Path
from typing import Annotated

from typer import BadParameter, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading, open_model
from kerasal.cli.session import remark, say, write_csv

_FIRST = 64


@loading("preprocessing", "weights", "net_option")
def patterns(
    load: Load,
    layer: options.Layer,
    channels: Annotated[
        str | None, Option("--channels", "-c", help="Which, such as 0-63 or 1,5; by default the first 64.")
    ] = None,
    output: options.Picture = Path("patterns.png"),
    against: Annotated[
        str | None, Option(help="A second model: both side by side, with their similarity.", show_default=False)
    ] = None,
    validate: Annotated[
        bool, Option("--validate", help="Also feed each pattern forward: OUTPUT-validation.png and .csv.")
    ] = False,
    propagate: Annotated[
        int | None, Option(help="Also draw this channel clamped to 0.5 … 3: OUTPUT-propagation.png.", min=0)
    ] = None,
    rescale: Annotated[
        float | None, Option(help="With --validate: bring each pattern's largest value to this, such as 128.")
    ] = None,
) -> None:
    """Paint what the channels of a layer are attuned to, by carrying one clamped unit back to the pixels.

    For example: kerasal patterns vgg19 block1_pool --weights vgg19.npz, or kerasal patterns NET.keras conv2 -c 0-15.
    """
    options.check_output(output, options.PICTURES)
    validation, propagation = (output.with_stem(f"{output.stem}-{what}") for what in ("validation", "propagation"))
    options.refuse_inputs([validation, validation.with_suffix(".csv"), propagation])
    if rescale is not None and not validate:
        raise BadParameter("--rescale goes with --validate")
    chosen = options.numbers(channels) if channels else None
    opened, how = load(), load.keywords
    weights = how["weights"]
    other = None if against is None else open_model(against, **how | {"weights": None, "net_option": None})
    from kerasal import images, receptive_field
    from kerasal.receptive_field.patterns.pattern_projection import PatternProjector

    projector = PatternProjector(opened.keras_model, layer)
    chosen = projector.channels(range(min(projector.count, _FIRST)) if chosen is None else chosen).tolist()
    path, size = projector.path, "{} × {}".format(*projector.field_size)
    notes = _note(opened, len(chosen), projector.count), _note(other, len(chosen), projector.count) if other else ""
    bgr = opened.preprocessing is not None and opened.preprocessing.bgr
    if opened.preprocessing is None:
        remark("Colors: the model's channels are taken for red, green, blue (--preprocessing caffe for the reverse).")
    if other is None:
        found = receptive_field.patterns(opened.keras_model, path, chosen, progress=True)
        title = f"{_named(opened, weights)}: what {path} is attuned to, {size} px"
        sheet = receptive_field.draw_patterns(found, chosen, title=title, note=notes[0], bgr=bgr)
        silent = int((~found.any(axis=(1, 2, 3))).sum())
        more = f", {silent} silent" if silent else ""
    else:
        both = receptive_field.compare_patterns(opened.keras_model, other.keras_model, path, chosen, progress=True)
        names = (_named(opened, weights), _named(other))
        sheet = receptive_field.draw_comparison(both, names, title=f"{path}, {size} px", notes=notes, bgr=bgr)
        more = _similarity(both.table, names)
    images.write(output, sheet)
    say(f"{output}  {len(chosen)} patterns of {size} px{more}")
    if validate:
        _validate(opened, path, chosen, rescale, validation)
    if propagate is not None:
        grown = receptive_field.propagation(opened.keras_model, path, propagate)
        title = f"{opened.name}: {path}, channel {propagate}{_UNTRAINED * opened.untrained}"
        images.write(propagation, receptive_field.draw_propagation(grown, title=title, bgr=bgr))
        say(f"{propagation}  pixels reached: {', '.join(map(str, grown.table['area']))}")


_UNTRAINED = " (UNTRAINED)"


def _note(opened, shown: int, count: int) -> str:
    parts = ["UNTRAINED: random weights, so these patterns mean nothing"] if opened.untrained else []
    parts += [f"{shown} of {count} channels (--channels for others)"] if shown < count else []
    return "; ".join(parts)


def _named(opened, weights: str | None = None) -> str:
    own = Path(weights).name if weights else "random weights" if opened.untrained else ""
    return f"{opened.name} ({own})" if own else opened.name


def _similarity(table, names: tuple[str, str]) -> str:
    means = table.mean(numeric_only=True)
    return (
        f"; mean cosine similarity {means['similarity']:.3f}; mean center-surround score "
        f"{means['center_surround_left']:.3f} ({names[0]}), {means['center_surround_right']:.3f} ({names[1]})"
    )


def _validate(opened, layer: str, chosen, rescale: float | None, drawn: Path) -> None:
    """Feed the patterns forward; write the table of all, and the picture of the first."""
    from kerasal import images, receptive_field

    table = receptive_field.validate_patterns(opened.keras_model, layer, chosen, rescale=rescale, progress=True)
    write_csv(drawn.with_suffix(".csv"), table)
    first = receptive_field.validate_pattern(opened.keras_model, layer, chosen[0], rescale=rescale)
    title = f"{opened.name}: the answer of {layer} to the pattern of channel {chosen[0]}"
    images.write(drawn, receptive_field.draw_validation(first, title=title + _UNTRAINED * opened.untrained))
    say(
        f"{drawn}  channel {chosen[0]}: rank {first.attrs['rank']} of {len(first)}, {first.attrs['above']} above, "
        f"{first.attrs['silent']} silent"
    )
    say(
        f"{drawn.with_suffix('.csv')}  {(table['rank'] == 1).sum()} of {len(table)} channels answer their own pattern "
        f"most; median rank {table['rank'].median():g} of {len(first)}"
    )
