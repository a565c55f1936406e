"""``kerasal exemplars``, the images that activate channels most; ``evolution``, features over training epochs."""

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from kerasal.cli import completion, options
from kerasal.cli.flags import Formerly
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import load_tensorflow, remark, remark_when_stopped, say, warnings_as_remarks, write_csv
from kerasal.names import count_noun


@with_json
@with_model("preprocessing", "weights")
def exemplars(
    load: Load,
    arguments: Annotated[
        list[str],
        Argument(
            metavar="[LAYER] IMAGE",
            help="Images: files, or folders searched at any depth. LAYER comes before them, unless --layer names it.",
            show_default=False,
            autocompletion=completion.layers_and_files,
        ),
    ],
    layer: Annotated[str | None, options.LayerOption(help="Name or path of a layer with a spatial map.")] = None,
    channels: Annotated[
        str | None,
        options.ChannelsOption(help="Numbers of channels, such as 0-8 or 3,17. Default: the first 9."),
        Formerly("-c"),
        Formerly("--channel"),
    ] = None,
    count: Annotated[int, Option("--count", "-k", help="Number of images per channel.", min=1)] = 9,
    output: options.Picture = Path("exemplars.png"),
    table: Annotated[
        Path | None,
        Option(help="Also write a CSV table of channels, ranks, activations, files and positions."),
    ] = None,
    rule: Annotated[
        Literal["deconvnet", "guided", "gradient"],
        Option(help="Backward rule of the ReLUs in the reconstructions; gradient for a model without ReLUs."),
    ] = "deconvnet",
    fit: options.Fit = "crop",
    size: options.Size = None,
) -> None:
    """Draw the image patches that activate channels most, and the part of each patch to which the unit responds.

    For example: kerasal exemplars MODEL.keras PHOTOS/ --layer block3_conv1 --channels 0-8 -o page.png. Each pair shows
    the deconvnet's reconstructions (left) and the patches (right). After Ctrl-C the same command continues.
    """
    if layer is None:
        if len(arguments) < 2:
            raise BadParameter("The arguments must be MODEL LAYER IMAGE..., or MODEL IMAGE... with --layer.")
        layer, *arguments = arguments
    options.check_output(output, options.PICTURES)
    numbers = options.read_numbers(channels) if channels else None
    options.check_output(table, (".csv",))
    image_size = options.read_size(size)
    from kerasal import images as pictures

    files = pictures.find_files(list(map(Path, arguments)))  # before the model, so a wrong path is reported at once
    model = load()
    from kerasal import hooks, receptive_field

    journal = output.with_name(f".{output.name}.partial")
    if journal.exists():
        remark("A search for this page was stopped before. It continues if the settings are the same.")
    if numbers is None:
        numbers = list(range(min(9, hooks.channel_count(model.keras_model, layer) or 9)))
    kept = "Stopped. The images seen so far are kept; run the same command again to continue."
    with warnings.catch_warnings(), remark_when_stopped(lambda: kept if journal.exists() else ""):
        warnings.simplefilter("ignore", UserWarning)  # skipped and missing images are reported below
        exemplars_found: Any = receptive_field.top_exemplars(
            model.keras_model,
            layer,
            numbers,
            files,
            count,
            preprocessing=model.preprocessing,
            rule=rule,
            fit=fit,
            size=image_size,
            journal=journal,
            progress=True,
        )
    height, width = exemplars_found[0].crops.shape[1:3]
    title = (
        f"{model.name}, {exemplars_found[0].layer}: what each channel responds to (left) in the patches of {height} × "
        f"{width} px that excite it most (right)"
    )
    pictures.write(output, receptive_field.draw_exemplars(exemplars_found, title=title))
    if table is not None:
        write_csv(table, receptive_field.exemplar_table(exemplars_found))
    _report(exemplars_found, count, output)


def _report(channels: list, count: int, output: Path) -> None:
    """Print the activations of each channel's images, and what was skipped."""
    first = channels[0]
    listed = [
        {"channel": item.channel, "images": [Path(name) for name in item.names], "activations": item.activations}
        for item in channels
    ]
    record(layer=first.layer, channels=listed, seen=first.seen, skipped=dict(first.skipped), output=output)
    if first.skipped:
        were = "was" if len(first.skipped) == 1 else "were"
        remark(f"{count_noun(len(first.skipped), 'file')} could not be read and {were} skipped:")
        for name, reason in first.skipped:
            remark(f"  {name}: {reason}")
    if len(first) < count:
        remark(f"For --count {count} there is only {count_noun(first.seen, 'image')}.")
    silent = [str(channel.channel) for channel in channels if channel.activations[0] <= 0]
    if silent:
        remark(f"Channels that no image activates: {', '.join(silent)}.")
    for channel in channels[:10]:
        best = Path(channel.names[0]).name
        say(f"channel {channel.channel:<5} {channel.activations[0]:10.4g} … {channel.activations[-1]:<10.4g} {best}")
    if len(channels) > 10:
        say(f"… and {len(channels) - 10} more; --table FILE.csv writes all")
    say(f"{output}  {count_noun(len(channels), 'channel')}, {count_noun(first.seen, 'image')}")


def evolution(
    folder: Annotated[
        Path,
        Argument(
            help="The folder written by kerasal train MODEL --evolution FOLDER or by the callback FeatureEvolution.",
            show_default=False,
        ),
    ],
    output: Annotated[Path | None, options.Output(help="The picture to write. Default: FOLDER/evolution.png.")] = None,
    features: Annotated[
        list[str] | None,
        options.Features(help="Channels to draw, as LAYER:0-7; repeatable. Default: all that are stored."),
        Formerly("-f"),
    ] = None,
    patches: Annotated[
        bool, Option(help="End each row with the patch that activates the feature most at the last epoch.")
    ] = True,
    tile: Annotated[int, Option(help="Side of a cell in pixels.", min=8)] = 64,
    title: Annotated[str, Option(help="Title above the picture.")] = "",
) -> None:
    """Draw how features developed in training: one row per feature, one column per stored epoch."""
    output = output or folder / "evolution.png"
    wanted = [options.read_layer_channels(text) for text in features or ()]
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    options.check_output(output, options.PICTURES, folders=False)  # the folder's epochs are no pictures
    load_tensorflow()
    from kerasal import images, receptive_field

    with warnings_as_remarks():
        stored = receptive_field.read_evolution(folder)
    chosen = [
        (layer, channel)
        for layer, channels in wanted
        for channel in (channels or [number for other, number in stored.features if other == layer])
    ]
    features_drawn = chosen if features else None
    sheet = receptive_field.draw_evolution(stored, features_drawn, title=title, patches=patches, tile=tile)
    images.write(output, sheet)
    epochs = ", ".join(map(str, stored.epochs))
    say(f"{output}  {count_noun(len(chosen) or len(stored.features), 'feature')}, epochs {epochs}")
