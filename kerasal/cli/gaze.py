"""``kerasal gaze``: the commands about where people look, from a folder of images and fixations to scores."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Exit, Option

from kerasal.cli import gaze_opening as opening
from kerasal.cli import options
from kerasal.cli.gaze_score import describe, diagnose, evaluate, import_vxm
from kerasal.cli.gaze_train import train
from kerasal.cli.outputs import App
from kerasal.cli.session import load_tensorflow, remark, say


@options.taking("how", opening.HOW | {"size": (opening.Size, None)})
def predict(
    arguments: Annotated[
        list[str],
        Argument(
            metavar="[NET] IMAGE...",
            help="Photographs, or folders of them; before them a run of `gaze train`, a .keras or .h5 file, or a zoo "
            "name, if not the net that ships.",
            show_default=False,
        ),
    ],
    how: dict,
    output: Annotated[Path, options.Output(help="The folder for the maps.")] = Path("gaze-maps"),
    postprocess: Annotated[
        Literal["examiners", "pan", "none"] | None,
        Option(
            help="Clip, enlarge and blur by 2 px (the coursework's); blur the small map, then enlarge; enlarge. "
            "Default: examiners, and none for a net of log-densities, such as the one that ships.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Predict where people will look: for each image a 16-bit map, NAME.png, and the map on it, NAME-overlay.jpg.

    What cannot be read is named and left out, and makes the exit code 1.
    """
    net, photographs = opening.net_and_images(arguments)
    load_tensorflow()
    from kerasal import gaze
    from kerasal.gaze.folder_prediction import name_photos, result_files

    files = name_photos(photographs)
    written = [path for name in files for path in result_files(output, name)]
    options.refuse_inputs(written, read=files.values(), folders=False)
    _, predictor = opening.open_net(net, **how)
    found = gaze.predict_folder(photographs, output, predictor, postprocess=postprocess, progress=True)
    for text in [*found.notes, *(f"Left out: {reason}" for reason in found.skipped)]:
        remark(text)
    if not found.count:
        raise ValueError("None of the images could be read; the remarks above say why.")
    scale = "0..1" if found.postprocess == "examiners" else "each from its lowest to its highest value"
    say(f"{output}  {found.count} maps (16 bits: {scale}) and overlays")
    if found.skipped:
        raise Exit(1)


@options.taking("how", opening.HOW | {"size": (opening.Size, None)})
def panel(
    net: opening.Net,
    how: dict,
    data: opening.Data,
    output: options.Picture = Path("panel.png"),
    image: Annotated[
        list[str] | None, Option(help="Show these images (repeat the option) instead of best, median and worst.")
    ] = None,
    count: Annotated[int, Option(min=1, help="Images of each kind.")] = 1,
    split: opening.Split = None,
    postprocess: opening.Postprocess = "examiners",
) -> None:
    """Draw image, truth and prediction: the best, the median and the worst image by CC."""
    options.check_output(output, options.PICTURES)
    opened_data = opening.open_data(data, split)
    _, predictor = opening.open_net(net, **how)
    from kerasal import gaze
    from kerasal import images as pictures

    sheet = gaze.panel(predictor, opened_data, image, postprocess=postprocess, count=count, progress=True)
    pictures.write(output, sheet)
    say(f"{output}  image | truth | prediction")


@options.taking("how", opening.HOW)
def filters(net: opening.Net, how: dict, output: options.Picture = Path("filters.png")) -> None:
    """Draw the kernels of a net's first convolution, all on one scale."""
    options.check_output(output, options.PICTURES)
    model, predictor = opening.open_net(net, **how)
    from kerasal import gaze
    from kerasal import images as pictures

    pictures.write(output, gaze.filters(model.keras_model, bgr=predictor.convention.bgr))
    say(f"{output}  first-layer filters")


HELP = "Train, apply and score nets that predict where people look."

app = App(no_args_is_help=True)
for command in (describe, train, predict, evaluate, panel, filters, diagnose, import_vxm):
    app.command()(command)
