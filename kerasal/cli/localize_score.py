"""``kerasal localize-score MODEL IMAGES BOXES``: boxes of a folder of images against true ones, into a table."""

from pathlib import Path
from typing import Annotated

import typer

from kerasal.cli import localize as single
from kerasal.cli import options


def localize_score(
    model: options.Model,
    folder: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of photographs.", show_default=False)],
    boxes: Annotated[
        Path,
        typer.Argument(
            help="True boxes: a folder of VOC or ImageNet .xml, a COCO .json, or a .csv (image,class,xmin,…).",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table; a .json goes beside it.")] = Path(
        "localization.csv"
    ),
    classes: Annotated[
        Path | None,
        typer.Option(help="CSV from the boxes' class names to the model's numbers: any columns, and one named index."),
    ] = None,
    inclusive: Annotated[
        bool, typer.Option("--inclusive", help="x_max and y_max of a CSV are the last pixel inside.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Guesses an image has.")] = 5,
    overlap: Annotated[float, typer.Option("--iou", help="Intersection over union that is enough.")] = 0.5,
    recipe: single.Recipe = "tuned",
    method: single.Method = None,
    foreground: single.Foreground = None,
    background: single.Background = None,
    blur: single.Blur = None,
    prior: single.Prior = None,
    level: single.Level = None,
    preprocessing: options.Preprocessing = None,
    labels: options.Labels = None,
    weights: options.Weights = None,
    unsafe: options.Unsafe = False,
) -> None:
    """Score a model's boxes of a folder of images: ILSVRC's localisation error, and the IoU where the class is known.

    Images and boxes find each other by the file's name. An interrupted run continues where it stopped when the same
    command is given again. An image without boxes, or that cannot be read, is named, and makes the exit code 1.
    """
    options.check_output(output, (".csv",), beside=(".json",))
    if not 0 < overlap <= 1:
        raise typer.BadParameter(f"--iou is above 0 and at most 1; received {overlap}")
    from kerasal.cli import localize_run, localize_truth
    from kerasal.cli.opening import open_model

    job = localize_truth.prepare(folder, boxes, classes=classes, inclusive=inclusive)
    opened = open_model(model, preprocessing=preprocessing, labels=labels, weights=weights, unsafe=unsafe)
    from kerasal import hooks

    settings = {
        "model": [model, hooks.digest_model(opened.model)],
        "preprocessing": repr(opened.preprocessing),
        "recipe": recipe,
        "method": method,
        "top": top,
        "iou": overlap,
        **single.given(foreground=foreground, background=background, blur=blur, prior=prior, level=level),
    }
    table = localize_run.run(job, opened, output, settings)
    localize_run.finish(job, table, output, settings)
