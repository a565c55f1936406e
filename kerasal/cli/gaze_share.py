"""``kerasal gaze share``: the share of attention that boxes in photos get, such as the price on a poster."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from kerasal.cli import completion, gaze_options, options
from kerasal.cli.json_output import record, with_json
from kerasal.cli.session import load_tensorflow, say


@with_json
@options.with_options("settings", gaze_options.model_options())
def share(
    arguments: Annotated[
        list[str],
        Argument(
            metavar="[MODEL] IMAGE",
            help="Photos, screenshots or posters, or folders of them. MODEL: as in `gaze predict`.",
            show_default=False,
            autocompletion=completion.models_and_files,
        ),
    ],
    settings: dict,
    box: Annotated[
        list[str] | None,
        Option(
            metavar="NAME=X1,Y1,X2,Y2",
            help="A box in pixels of the photo, from its upper left corner; X2 and Y2 are the first pixels outside. "
            "Repeatable; the name can be left out. Applies to all photos.",
            show_default=False,
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        Option(
            help="The boxes of each photo: a CSV with image,class,x_min,y_min,x_max,y_max, COCO's JSON, or XML of VOC.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, options.Output(help="A picture to write, of a single photo: the map and the boxes over it.")
    ] = None,
) -> None:
    """Print the share of attention that each box in a photo gets, and the rest; --json prints it for programs.

    share: of the predicted density; boxes that overlap each count all of it. divided: what overlaps is divided in equal
    parts, so that the column and the rest sum to 1. lift: the share divided by the area, 1 if attention were uniform.
    """
    options.check_output(output, options.PICTURES)
    source, photos = gaze_options.split_model_and_images(arguments)
    chosen = _read_boxes(box or [])
    if bool(chosen) == (boxes is not None):
        raise BadParameter("There must be boxes, either --box or --boxes.")
    from kerasal import images
    from kerasal.localization import read_boxes

    files = images.name_files(photos)
    if output is not None and len(files) > 1:
        raise BadParameter(f"--output needs a single photo, got {len(files)}.")
    table = None if boxes is None else read_boxes(boxes)
    load_tensorflow()
    from kerasal import gaze

    _, predictor = gaze_options.open_gaze_model(source, **settings)
    results = []
    for file in files.values():
        photo = images.read(file)
        prediction = gaze.predict(photo, predictor)
        found = gaze.attention_share(prediction, chosen or _select_boxes(table, file, boxes))
        results.append({"image": file, **found.to_dict()})
        say(f"{file}\n{_describe(found)}")
        if output is not None:
            images.write(output, _draw(photo, prediction, found))
            say(f"{output}  the map and the boxes over the photo")
    record(images=results, output=output)


def _read_boxes(texts: list[str]) -> dict[str, tuple[float, ...]]:
    """Return the boxes of --box by name; boxes without a name are numbered."""
    boxes: dict[str, tuple[float, ...]] = {}
    for number, text in enumerate(texts, 1):
        name, equals, corners = text.rpartition("=")
        try:
            values = tuple(float(value) for value in corners.split(","))
        except ValueError:
            values = ()
        if len(values) != 4 or (equals and not name):
            raise BadParameter(f"--box must be X1,Y1,X2,Y2 or NAME=X1,Y1,X2,Y2, got {text!r}.")
        if (name or str(number)) in boxes:
            raise BadParameter(f"--box must have each name once, got {name or str(number)!r} twice.")
        boxes[name or str(number)] = values
    return boxes


def _select_boxes(table: Any, file: Path, source: Path | None) -> dict[str, tuple[float, ...]]:
    """Return the boxes of a photo by class; from the second box of a class on, its name is followed by a number."""
    rows = table[table["image"] == file.stem]
    if not len(rows):
        raise ValueError(f"{source} must have boxes of {file.name}, got none. Leave the photo out, or add its boxes.")
    boxes: dict[str, tuple[float, ...]] = {}
    for name, box in zip(rows["class"], rows["box"], strict=True):
        count = sum(known == name or known.startswith(f"{name} ") for known in boxes)
        boxes[f"{name} {count + 1}" if count else name] = box
    return boxes


def _describe(found: Any) -> str:
    table = found.table[["share", "divided", "area", "lift"]].copy()
    table.loc["rest"] = {**found.rest, "divided": found.rest["share"]}
    for column in ("share", "divided", "area"):
        table[column] = [f"{value:.1%}" for value in table[column]]
    table["lift"] = [f"{value:.2f}" if value == value else "–" for value in table["lift"]]
    return table.rename_axis(None).to_string()


def _draw(photo: Any, prediction: Any, found: Any):
    import numpy as np

    from kerasal import gaze, images

    drawn = gaze.overlay(photo, prediction.map)
    height, width = found.size
    for corners in found.table[["x_min", "y_min", "x_max", "y_max"]].to_numpy():
        drawn = images.outline(drawn, corners / np.array([width, height, width, height]))
    return drawn
