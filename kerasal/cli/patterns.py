"""``kerasal patterns``: the input pattern of each channel of a layer, projected to the pixels from a unit set to 1."""

from pathlib import Path
from typing import Annotated, Any

from typer import BadParameter, Option

from kerasal.cli import completion, options
from kerasal.cli.flags import Formerly
from kerasal.cli.model_argument import Load, open_model, with_model
from kerasal.cli.session import remark, say, write_csv

_FIRST = 64


@with_model("preprocessing", "weights")
def patterns(
    load: Load,
    layer_argument: options.LayerArgument = None,
    layer: Annotated[
        str | None, options.LayerOption(help="Name or path of a layer with a spatial map; required.")
    ] = None,
    channels: Annotated[
        str | None,
        options.ChannelsOption(help="Numbers of channels, such as 0-63 or 1,5. Default: the first 64."),
        Formerly("-c"),
        Formerly("--channel"),
    ] = None,
    output: options.Picture = Path("patterns.png"),
    against: Annotated[
        str | None,
        Option(
            help="A second model: draw the patterns of both side by side and report their similarity.",
            show_default=False,
            autocompletion=completion.models,
        ),
    ] = None,
    validate: Annotated[
        bool,
        Option("--validate", help="Also write the model's responses to the patterns: OUTPUT-validation.png and .csv."),
    ] = False,
    propagate: Annotated[
        int | None,
        Option(help="Also draw the pattern of this channel for unit values 0.5 … 3: OUTPUT-propagation.png.", min=0),
    ] = None,
    rescale: Annotated[
        float | None, Option(help="With --validate: scale each pattern to this largest value, such as 128.")
    ] = None,
) -> None:
    """Draw the input pattern to which each channel of a layer is tuned: a unit set to 1, projected to the pixels.

    For example: kerasal patterns vgg19 --layer block1_pool --weights vgg19.npz, or kerasal patterns MODEL.keras -l
    conv2 --channels 0-15.
    """
    layer = options.require_layer(layer, layer_argument)
    options.check_output(output, options.PICTURES)
    validation, propagation = (output.with_stem(f"{output.stem}-{what}") for what in ("validation", "propagation"))
    options.refuse_inputs([validation, validation.with_suffix(".csv"), propagation])
    if rescale is not None and not validate:
        raise BadParameter("--rescale can only be used with --validate.")
    numbers = options.read_numbers(channels) if channels else None
    model, settings = load(), load.keywords
    weights = settings["weights"]
    others: dict[str, Any] = {**settings, "weights": None, "model_option": None}
    other = None if against is None else open_model(against, **others)
    from kerasal import images, receptive_field
    from kerasal.receptive_field.patterns.pattern_projection import PatternProjector

    projector = PatternProjector(model.keras_model, layer)
    chosen = projector.channels(range(min(projector.count, _FIRST)) if numbers is None else numbers).tolist()
    path, size = projector.path, "{} × {}".format(*projector.field_size)
    notes = _note(model, len(chosen), projector.count), _note(other, len(chosen), projector.count) if other else ""
    bgr = model.preprocessing is not None and model.preprocessing.bgr
    if model.preprocessing is None:
        remark(
            "Colors: the input channels are drawn as red, green, blue. Use --preprocessing caffe for blue, green, red."
        )
    if other is None:
        painted = receptive_field.patterns(model.keras_model, path, chosen, progress=True)
        title = f"{_title(model, weights)}: what {path} is tuned to, {size} px"
        sheet = receptive_field.draw_patterns(painted, chosen, title=title, note=notes[0], bgr=bgr)
        silent = int((~painted.any(axis=(1, 2, 3))).sum())
        more = f", {silent} without positive values" if silent else ""
    else:
        both = receptive_field.compare_patterns(model.keras_model, other.keras_model, path, chosen, progress=True)
        names = (_title(model, weights), _title(other))
        sheet = receptive_field.draw_comparison(both, names, title=f"{path}, {size} px", notes=notes, bgr=bgr)
        more = _describe_similarity(both.table, names)
    images.write(output, sheet)
    say(f"{output}  {len(chosen)} patterns of {size} px{more}")
    if validate:
        _validate(model, path, chosen, rescale, validation)
    if propagate is not None:
        propagated = receptive_field.propagation(model.keras_model, path, propagate)
        title = f"{model.name}: {path}, channel {propagate}{_UNTRAINED * model.untrained}"
        images.write(propagation, receptive_field.draw_propagation(propagated, title=title, bgr=bgr))
        say(f"{propagation}  pixels reached: {', '.join(map(str, propagated.table['area']))}")


_UNTRAINED = " (UNTRAINED)"


def _note(model, shown: int, count: int) -> str:
    parts = ["UNTRAINED: random weights, so these patterns mean nothing"] if model.untrained else []
    parts += [f"{shown} of {count} channels (--channels for others)"] if shown < count else []
    return "; ".join(parts)


def _title(model, weights: str | None = None) -> str:
    origin = Path(weights).name if weights else "random weights" if model.untrained else ""
    return f"{model.name} ({origin})" if origin else model.name


def _describe_similarity(table, names: tuple[str, str]) -> str:
    means = table.mean(numeric_only=True)
    return (
        f"; mean cosine similarity {means['similarity']:.3f}; mean center-surround score "
        f"{means['center_surround_left']:.3f} ({names[0]}), {means['center_surround_right']:.3f} ({names[1]})"
    )


def _validate(model, layer: str, chosen, rescale: float | None, picture: Path) -> None:
    """Run the model on the patterns; write the table of all, and the picture of the first."""
    from kerasal import images, receptive_field

    table = receptive_field.validate_patterns(model.keras_model, layer, chosen, rescale=rescale, progress=True)
    write_csv(picture.with_suffix(".csv"), table)
    first = receptive_field.validate_pattern(model.keras_model, layer, chosen[0], rescale=rescale)
    title = f"{model.name}: the response of {layer} to the pattern of channel {chosen[0]}"
    images.write(picture, receptive_field.draw_validation(first, title=title + _UNTRAINED * model.untrained))
    say(
        f"{picture}  channel {chosen[0]}: rank {first.attrs['rank']} of {len(first)}, {first.attrs['above']} "
        f"channels respond more, {first.attrs['silent']} not at all"
    )
    say(
        f"{picture.with_suffix('.csv')}  {(table['rank'] == 1).sum()} of {len(table)} channels respond most to their "
        f"own pattern; median rank {table['rank'].median():g} of {len(first)}"
    )
