"""``kerasal gaze``: the commands that predict where people look, and ``predict``, ``panel`` and ``filters``."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from kerasal.cli import completion, gaze_options, options
from kerasal.cli.gaze_adapt import adapt
from kerasal.cli.gaze_page import page
from kerasal.cli.gaze_score import describe, diagnose, dump, evaluate, import_vxm
from kerasal.cli.gaze_share import share
from kerasal.cli.gaze_train import train
from kerasal.cli.json_output import record, with_json
from kerasal.cli.outputs import App
from kerasal.cli.report import report
from kerasal.cli.session import load_tensorflow, remark, say
from kerasal.names import count_noun


@with_json
@options.with_options("drawing", options.drawing_options("colormap", "strength", "dpi"))
@options.with_options("settings", gaze_options.model_options())
def predict(
    arguments: Annotated[
        list[str],
        Argument(
            metavar="[MODEL] IMAGE",
            help="Photos, or folders of photos. MODEL: a run of `gaze train`, a .keras or .h5 file, or a zoo name; "
            "by default the model that is installed with kerasal.",
            show_default=False,
            autocompletion=completion.models_and_files,
        ),
    ],
    settings: dict,
    drawing: dict,
    output: Annotated[Path, options.Output(help="The folder for the maps.")] = Path("gaze-maps"),
    postprocess: gaze_options.Postprocess = None,
) -> None:
    """Predict where people look: per image a 16-bit map, NAME.png, and the map over the image, NAME-overlay.jpg.

    Unreadable files are skipped and listed, and make the exit code 1.
    """
    source, photos = gaze_options.split_model_and_images(arguments)
    load_tensorflow()
    from kerasal import gaze, images
    from kerasal.gaze.folder_prediction import result_files

    files = images.name_files(photos)
    written = [path for name in files for path in result_files(output, name)]
    options.refuse_inputs(written, read=files.values(), folders=False)
    _, predictor = gaze_options.open_gaze_model(source, **settings)
    predicted = gaze.predict_folder(photos, output, predictor, postprocess=postprocess, progress=True, **drawing)
    record(maps=predicted.files, skipped=predicted.skipped, postprocess=predicted.postprocess, output=output)
    for text in [*predicted.notes, *(f"Skipped: {reason}" for reason in predicted.skipped)]:
        remark(text)
    if not predicted.count:
        raise RuntimeError("None of the images could be read. The remarks above give the reasons.")
    scale = "0..1" if predicted.postprocess == "examiners" else "each from its lowest to its highest value"
    say(f"{output}  {count_noun(predicted.count, 'map')} (16 bits: {scale}) and overlays")
    if predicted.skipped:
        raise Exit(1)


@options.with_options("settings", gaze_options.model_options())
def panel(
    model: gaze_options.Model,
    settings: dict,
    data: gaze_options.Data,
    output: options.Picture = Path("panel.png"),
    image: Annotated[
        list[str] | None,
        Option(help="Show this image of the data; repeatable. Default: the best, the median and the worst image."),
    ] = None,
    count: Annotated[
        int, Option("--count", "-k", min=1, help="Number of images of each kind: best, median and worst.")
    ] = 1,
    split: gaze_options.Split = None,
    postprocess: gaze_options.Postprocess = None,
) -> None:
    """Draw image, ground truth and prediction of the best, the median and the worst image by CC."""
    options.check_output(output, options.PICTURES)
    gaze_set = gaze_options.open_data(data, split)
    _, predictor = gaze_options.open_gaze_model(model, **settings)
    from kerasal import gaze
    from kerasal import images as pictures

    sheet = gaze.panel(predictor, gaze_set, image, postprocess=postprocess, count=count, progress=True)
    pictures.write(output, sheet)
    say(f"{output}  image | truth | prediction")


@options.with_options("settings", gaze_options.model_options(size=False))
def filters(model: gaze_options.Model, settings: dict, output: options.Picture = Path("gaze-filters.png")) -> None:
    """Draw the kernels of a model's first convolution, all with the same scale."""
    options.check_output(output, options.PICTURES)
    opened, predictor = gaze_options.open_gaze_model(model, **settings)
    from kerasal import gaze
    from kerasal import images as pictures

    pictures.write(output, gaze.filters(opened.keras_model, bgr=predictor.convention.bgr))
    say(f"{output}  first-layer filters")


HELP = "Train, apply and score models that predict where people look."

app = App(no_args_is_help=True)
_COMMANDS = (describe, train, adapt, predict, page, share, evaluate, report, panel, filters, diagnose, dump, import_vxm)
for command in _COMMANDS:
    app.command(panel="Training" if command is train else "Settings")(command)
