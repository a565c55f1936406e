"""``kerasal localize``, boxes of a model's classes in a photo; ``localize-score``, the scores of such boxes."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, BadParameter, Exit, Option

from kerasal.cli import completion, options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import remark, remark_when_stopped, results, say, warnings_as_remarks
from kerasal.names import count_noun


class _Segmentation:
    """How objects are segmented; an option that is not set has the recipe's value."""

    recipe: Annotated[
        Literal["tuned", "simonyan"],
        Option(help="Settings of the segmentation: tuned on photos, or those of the paper (simonyan)."),
    ] = "tuned"
    method: Annotated[
        str | None,
        Option(
            help="Attribution method, such as class_saliency. Default: the recipe's.",
            show_default=False,
            autocompletion=completion.methods,
        ),
    ] = None
    foreground: Annotated[
        float | None, Option(help="Quantile of the map above which pixels are foreground seeds. Default: the recipe's.")
    ] = None
    background: Annotated[
        float | None, Option(help="Quantile of the map below which pixels are background seeds. Default: the recipe's.")
    ] = None
    blur: Annotated[
        float | None,
        Option(help="Standard deviation of the blur of the map, as a share of its longer side. Default: the recipe's."),
    ] = None
    prior: Annotated[
        float | None, Option(help="Weight of the map in the segmentation; 0 uses colors only. Default: the recipe's.")
    ] = None
    level: Annotated[
        float | None,
        Option(
            help="Share of the map's maximum above which pixels count as object; larger values give smaller boxes. "
            "Default: the recipe's."
        ),
    ] = None


def _drop_unset(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


_MOST_LISTED = 20


@with_json
@with_model("preprocessing", "labels", "weights")
@options.with_options("drawing", options.drawing_options("tile", "colormap", "dpi"))
@options.with_options("segmentation", _Segmentation, _drop_unset)
def localize(
    load: Load,
    segmentation: dict,
    drawing: dict,
    image: options.Image,
    output: Annotated[Path | None, options.Output(help="The picture to write. Default: IMAGE-boxes.png.")] = None,
    class_: Annotated[
        list[str] | None,
        options.ClassOption(help="Localize this class, a name or number; repeatable. Default: the top classes."),
    ] = None,
    top: Annotated[int, Option(min=1, max=20, help="Number of classes with the highest scores.")] = 5,
) -> None:
    """Localize the model's top classes in a photo: map, seeds, mask and box of each class.

    The model receives the whole photo, stretched to its input size, so that boxes can reach the edges. Scores differ
    from those of commands that pass the center of the photo.
    """
    output = output or Path(f"{image.stem}-boxes.png")
    options.check_output(output, options.PICTURES)
    from rich.table import Table

    from kerasal import images

    photo = images.read(image)
    model = load()
    model.check_pixels()
    from kerasal.localization import draw_localizations, find_objects

    with warnings_as_remarks():
        objects = find_objects(
            model.keras_model,
            photo,
            classes=[options.find_class(name, model) for name in class_] if class_ else None,
            top=top,
            preprocessing=model.preprocessing,
            **segmentation,
        )
    names = [model.label(item.class_index) for item in objects]
    note, dpi, sizes = f"{segmentation['recipe']} recipe, {model.name}", drawing.pop("dpi"), _drop_unset(**drawing)
    images.write(output, draw_localizations(photo, objects, names, note, **sizes), dpi=dpi)
    boxes = [
        {"class": name, "number": item.class_index, "score": item.score, "box": item.box}
        for item, name in zip(objects, names, strict=True)
    ]
    record(image=image, boxes=boxes, output=output)
    table = Table("class", "number", "score", "box")
    for item, name in zip(objects, names, strict=True):
        table.add_row(name, str(item.class_index), f"{item.score:.3g}", ", ".join(map(str, item.box)))
    results().print(table)
    say(f"{output}  boxes (x_min, y_min, x_max, y_max) in pixels of {image}")


@with_json
@with_model("preprocessing", "labels", "weights")
@options.with_options("segmentation", _Segmentation, _drop_unset)
def localize_score(
    load: Load,
    segmentation: dict,
    folder: Annotated[Path, Argument(metavar="IMAGES", help="Folder of photos.", show_default=False)],
    boxes: Annotated[
        Path,
        Argument(
            help="True boxes: a folder of VOC or ImageNet .xml, a COCO .json, or a .csv (image,class,xmin,…).",
            show_default=False,
        ),
    ],
    output: Annotated[Path, options.Output(help="The CSV table to write; a .json is written next to it.")] = Path(
        "localization.csv"
    ),
    class_map: Annotated[
        Path | None,
        Option(help="CSV that maps class names of the boxes to the model's class numbers: a column index, and names."),
        Formerly("--classes"),
        Sets("classes"),
    ] = None,
    inclusive: Annotated[
        bool, Option("--inclusive", help="In a CSV of boxes, x_max and y_max are the last pixels inside the box.")
    ] = False,
    top: Annotated[int, Option(min=1, help="Number of classes with the highest scores.")] = 5,
    overlap: Annotated[
        float, Option("--iou", help="Smallest intersection over union of a correct box."), Sets("iou")
    ] = 0.5,
) -> None:
    """Score a model's boxes for a folder of images: ILSVRC localization error, and IoU with the known class.

    Images and boxes are matched by file name. After an interruption the same command continues. Images without boxes
    and unreadable images are listed, and make the exit code 1.
    """
    options.check_output(output, (".csv",), beside=(".json",))
    if not 0 < overlap <= 1:
        raise BadParameter(f"--iou must be above 0 and at most 1, got {overlap}.")
    model = load()
    from kerasal import localization

    with remark_when_stopped():
        report = localization.evaluate_folder(
            model.keras_model,
            folder,
            boxes,
            labels=model.labels,
            classes=class_map,
            inclusive=inclusive,
            top=top,
            iou=overlap,
            preprocessing=model.preprocessing,
            output=output,
            name=load.args[0],
            progress=True,
            **segmentation,
        )
    _report(report, output)


def _report(report, output: Path) -> None:
    """Print the summary; exit with code 1 if images failed, and raise an error if all failed."""
    texts = {
        "missed_1": "top-1 localization error",
        "missed_top": f"top-{report.settings['top']} localization error",
        "iou": "mean IoU, class known",
        "correct": f"IoU of at least {report.settings['iou']:g}, class known",
    }
    record(summary=report.summary, scored=report.scored, failed=report.failed.to_dict(), notes=report.notes)
    record(settings=report.settings, output=output)
    if report.summary is not None:
        for column, text in texts.items():
            row = report.summary.loc[column]
            say(f"{text:34}{row['mean']:.3f}  [{row['low']:.3f}, {row['high']:.3f}]")
    say(f"{output}  {count_noun(report.scored, 'image')}, 95 % bootstrap intervals over images")
    failed = report.failed
    for text in [*report.notes, *(f"{name}: {reason}" for name, reason in failed.head(_MOST_LISTED).items())]:
        remark(text)
    if not report.scored:
        total = len(report.table)
        raise RuntimeError(f"None of the {total} images could be scored. See the column error of {output}.")
    if len(failed):
        remark(f"{len(failed)} of {len(report.table)} images could not be scored.")
        raise Exit(code=1)
