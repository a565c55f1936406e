"""``kerasal localize``, ``localize-score``: where a model's classes are in photographs, and the scores of its boxes."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Exit, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading
from kerasal.cli.session import remark, results, say, warnings_as_remarks, when_stopped


class _Cut:
    """How objects are found; what is not given is the recipe's."""

    recipe: Annotated[
        Literal["tuned", "simonyan"],
        Option(help="How: 'tuned' on real photographs, or the paper's literal settings ('simonyan')."),
    ] = "tuned"
    method: Annotated[
        str | None, Option(help="Another attribution method than the recipe's, such as class_saliency, smoothgrad.")
    ] = None
    foreground: Annotated[float | None, Option(help="Quantile of the map above which pixels seed the object.")] = None
    background: Annotated[float | None, Option(help="Quantile below which pixels seed the background.")] = None
    blur: Annotated[float | None, Option(help="Blur the map by this share of its side first.")] = None
    prior: Annotated[float | None, Option(help="Weight of the map itself in the cut; 0 leaves all to colors.")] = None
    level: Annotated[
        float | None, Option(help="Share of the map's maximum from which it speaks for the object; more is tighter.")
    ] = None


def _given(**chosen) -> dict:
    return {name: value for name, value in chosen.items() if value is not None}


_NAMED_FAILURES = 20


@loading("preprocessing", "labels", "weights")
@options.taking("cut", _Cut, _given)
def localize(
    load: Load,
    cut: dict,
    image: options.Image,
    output: Annotated[Path | None, options.Output(help="The picture. Default: IMAGE-boxes.png.")] = None,
    class_: Annotated[
        list[str] | None, Option("--class", "-c", help="Look for this class (repeatable), not the top ones.")
    ] = None,
    top: Annotated[int, Option(min=1, max=20, help="How many of the top classes.")] = 5,
) -> None:
    """Find where in a photograph the model's top classes are: map, seeds, mask and box of each."""
    output = output or Path(f"{image.stem}-boxes.png")
    options.check_output(output, options.PICTURES)
    from rich.table import Table

    from kerasal import images

    photograph = images.read(image)
    opened = load()
    opened.check_pixels()
    from kerasal.localization import draw_localizations, find_objects

    with warnings_as_remarks():
        found = find_objects(
            opened.keras_model,
            photograph,
            classes=[options.find_class(name, opened) for name in class_] if class_ else None,
            top=top,
            preprocessing=opened.preprocessing,
            **cut,
        )
    names = [opened.label(one.class_index) for one in found]
    images.write(output, draw_localizations(photograph, found, names, f"{cut['recipe']} recipe, {opened.name}"))
    table = Table("class", "number", "score", "box")
    for one, name in zip(found, names, strict=True):
        table.add_row(name, str(one.class_index), f"{one.score:.3g}", ", ".join(map(str, one.box)))
    results().print(table)
    say(f"{output}  boxes (x_min, y_min, x_max, y_max) in pixels of {image}")


@loading("preprocessing", "labels", "weights")
@options.taking("cut", _Cut, _given)
def localize_score(
    load: Load,
    cut: dict,
    folder: Annotated[Path, Argument(metavar="IMAGES", help="Folder of photographs.", show_default=False)],
    boxes: Annotated[
        Path,
        Argument(
            help="True boxes: a folder of VOC or ImageNet .xml, a COCO .json, or a .csv (image,class,xmin,…).",
            show_default=False,
        ),
    ],
    output: Annotated[Path, options.Output(help="The table; a .json goes beside it.")] = Path("localization.csv"),
    classes: Annotated[
        Path | None,
        Option(help="CSV from the boxes' class names to the model's numbers: any columns, and one named index."),
    ] = None,
    inclusive: Annotated[
        bool, Option("--inclusive", help="x_max and y_max of a CSV are the last pixel inside.")
    ] = False,
    top: Annotated[int, Option(min=1, help="Guesses an image has.")] = 5,
    overlap: Annotated[float, Option("--iou", help="Intersection over union that is enough.")] = 0.5,
) -> None:
    """Score a model's boxes of a folder of images: ILSVRC's localization error, and the IoU where the class is known.

    Images and boxes find each other by the file's name. An interrupted run continues where it stopped when the same
    command is given again. An image without boxes, or that cannot be read, is named, and makes the exit code 1.
    """
    options.check_output(output, (".csv",), beside=(".json",))
    if not 0 < overlap <= 1:
        raise BadParameter(f"--iou is above 0 and at most 1; received {overlap}")
    opened = load()
    from kerasal import localization

    with when_stopped():
        report = localization.evaluate_folder(
            opened.keras_model,
            folder,
            boxes,
            labels=opened.labels,
            classes=classes,
            inclusive=inclusive,
            top=top,
            iou=overlap,
            preprocessing=opened.preprocessing,
            output=output,
            name=load.args[0],
            progress=True,
            **cut,
        )
    _report(report, output)


def _report(report, output: Path) -> None:
    """Print the summary; failures make the exit code 1, and nothing but failures is an error."""
    texts = {
        "missed_1": "top-1 localization error",
        "missed_top": f"top-{report.settings['top']} localization error",
        "iou": "mean IoU, class known",
        "correct": f"IoU of at least {report.settings['iou']:g}, class known",
    }
    if report.summary is not None:
        for column, text in texts.items():
            row = report.summary.loc[column]
            say(f"{text:34}{row['mean']:.3f}  [{row['low']:.3f}, {row['high']:.3f}]")
    say(f"{output}  {report.scored} images, 95 % bootstrap intervals over images")
    failed = report.failed
    for text in [*report.notes, *(f"{name}: {reason}" for name, reason in failed.head(_NAMED_FAILURES).items())]:
        remark(text)
    if not report.scored:
        total = len(report.table)
        raise ValueError(f"None of the {total} images could be scored; the column error of {output} says why.")
    if len(failed):
        remark(f"{len(failed)} of {len(report.table)} images could not be scored.")
        raise Exit(code=1)
