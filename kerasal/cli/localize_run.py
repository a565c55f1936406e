"""The work behind ``kerasal localize-score``: match images and boxes, localise each image, keep a journal."""

import csv
import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from kerasal.cli.score_journal import journal_of, resume, stamp
from kerasal.progress import progress_bar

_OWN_ERRORS = (ValueError, OSError, MemoryError)
_COLUMNS = ("missed_1", "missed_top", "iou", "correct", "guesses", "error")
_NAMED_FAILURES = 20


@dataclasses.dataclass
class Job:
    """The images with their true boxes, and why others have none."""

    files: dict[str, Path]
    boxes: dict[str, pd.DataFrame]
    numbers: dict[str, int] | None
    errors: dict[str, str]
    notes: list[str]


def prepare(folder: Path, boxes: Path, *, classes: Path | None, inclusive: bool, labels: str | None) -> Job:
    """Find the images, read all boxes and match them by name.

    Raises:
        ValueError: no image has a box, or two images share a name.
    """
    from kerasal import images
    from kerasal.localization import read_boxes

    files: dict[str, Path] = {}
    for file in images.find_files([folder]):
        if file.stem in files:
            raise ValueError(f"{files[file.stem]} and {file} have the same name, so that boxes fit either.")
        files[file.stem] = file
    table = read_boxes(boxes, inclusive=inclusive)
    by_name = dict(list(table.groupby("image", sort=False)))
    errors = {name: f"{boxes} has no box for it" for name in files if name not in by_name}
    if len(errors) == len(files):
        raise ValueError(
            f"No image in {folder} has a box in {boxes}: images are called {next(iter(files))!r}, the boxes' "
            f"{next(iter(by_name))!r}."
        )
    spare = [name for name in by_name if name not in files]
    notes = [f"{len(spare)} images of {boxes} are not in {folder}, such as {spare[0]}."] if spare else []
    return Job(files, by_name, _numbers(classes), errors, notes)


def run(job: Job, opened, output: Path, settings: dict[str, Any]) -> pd.DataFrame:
    """Localise every image that the journal of an interrupted run does not have; return a table with ``error``."""
    truths = _numbered(job, opened)
    names = [name for name in job.files if name not in job.errors]
    told = {name: [[*row[:1], list(row[1])] for row in truths[name]] for name in names}
    todo = {name: [stamp(job.files[name]), json.loads(json.dumps(told[name]))] for name in names}
    header = json.dumps({"settings": settings}, sort_keys=True)
    journal = journal_of(output)
    rows = resume(journal, header, todo)
    if rows:
        job.notes.append(f"{len(rows)} images were taken over from the interrupted run.")
    missing = [name for name in names if name not in rows]
    with journal.open("a", encoding="utf-8") as file, progress_bar("Localising", len(missing)) as advance:
        if not rows:
            file.truncate(0)
            file.write(header + "\n")
        for name in missing:
            rows[name] = _row(opened, job.files[name], truths[name], name, settings)
            file.write(json.dumps({"image": name, "stamp": todo[name], "row": rows[name]}) + "\n")
            file.flush()
            advance(1)
    rows |= {name: {"error": message} for name, message in job.errors.items()}
    table = pd.DataFrame.from_dict({name: rows[name] for name in sorted(rows)}, orient="index")
    table.index.name = "image"
    return table.reindex(columns=list(_COLUMNS))


def _row(opened, file: Path, truth: list, name: str, settings: dict) -> dict[str, Any]:
    """Return the row of one image: its values, or why there are none under ``error``."""
    from kerasal import images

    try:
        photograph = images.read(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map without any evidence: the whole image is the guess
            return _scored(opened, photograph, truth, name, settings)
    except _OWN_ERRORS as error:
        return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}


def _scored(opened, photograph, truth: list, name: str, settings: dict) -> dict[str, Any]:
    from kerasal import localization

    known = dict.fromkeys(number for number, _ in truth)
    boxes = {
        number: localization.inside([box for one, box in truth if one == number], photograph.shape[:2], name)
        for number in known
    }
    how = {key: value for key, value in settings.items() if key not in ("model", "preprocessing", "iou", "top")}
    how["preprocessing"] = opened.preprocessing
    found = localization.localize(opened.model, photograph, top=settings["top"], **how)
    told = localization.localize(opened.model, photograph, classes=list(known), **how)
    overlaps = [
        localization.mean_iou([box], [boxes[number]]) for number, box in zip(told["class"], told["box"], strict=True)
    ]
    frame = pd.DataFrame(
        [(name, number, box) for number in boxes for box in boxes[number]], columns=["image", "class", "box"]
    )
    missed = [
        localization.localization_error(found.assign(image=name), frame, top=top, iou=settings["iou"])
        for top in (1, settings["top"])
    ]
    return {
        "missed_1": missed[0],
        "missed_top": missed[1],
        "iou": sum(overlaps) / len(overlaps),
        "correct": sum(one >= settings["iou"] for one in overlaps) / len(overlaps),
        "guesses": "; ".join(
            f"{n}: {' '.join(map(str, b))}" for n, b in zip(found["class"], found["box"], strict=True)
        ),
        "error": None,
    }


def _guess(number: int, box) -> str:
    return f"{number}: {' '.join(map(str, box))}"


def finish(job: Job, table: pd.DataFrame, output: Path, settings: dict[str, Any]) -> None:
    """Write the table and its summary, show them, and let failures make the exit code 1."""
    import typer

    from kerasal.cli.session import remark, results
    from kerasal.files import replacing
    from kerasal.metrics.summary import summarize

    failed = table["error"].dropna()
    scored = table[table["error"].isna()]
    columns = ["missed_1", "missed_top", "iou", "correct"]
    summary = summarize(scored[columns].astype(float)) if len(scored) else None
    with replacing(output) as path:
        table.to_csv(path)
    with replacing(output.with_suffix(".json")) as path:
        numbers = {} if summary is None else json.loads(summary.to_json(orient="index", double_precision=15))
        path.write_text(json.dumps({"settings": settings, "summary": numbers}, indent=1) + "\n", encoding="utf-8")
    journal_of(output).unlink(missing_ok=True)
    if summary is not None:
        said = {
            "missed_1": "top-1 localisation error",
            "missed_top": f"top-{settings['top']} localisation error",
            "iou": "mean IoU, class known",
            "correct": f"IoU of at least {settings['iou']:g}, class known",
        }
        for column, text in said.items():
            row = summary.loc[column]
            results().print(f"{text:34}{row['mean']:.3f}  [{row['low']:.3f}, {row['high']:.3f}]", markup=False)
    results().print(f"{output}  {len(scored)} images, 95 % bootstrap intervals over images", markup=False)
    for text in [*job.notes, *(f"{name}: {reason}" for name, reason in failed.head(_NAMED_FAILURES).items())]:
        remark(text)
    if not len(scored):
        raise ValueError(f"None of the {len(table)} images could be scored; the column error of {output} says why.")
    if len(failed):
        remark(f"{len(failed)} of {len(table)} images could not be scored.")
        raise typer.Exit(code=1)


def identity(model: str) -> list:
    """Return what tells one model from another in a journal: its name and, of a file, its size and time."""
    path = Path(model)
    return [model, *(stamp(path) if path.is_file() else [])]


def _numbered(job: Job, opened) -> dict[str, list[tuple[int, tuple]]]:
    """Return each image's (class number, box) pairs."""
    from kerasal import localization
    from kerasal.labels import find

    names = sorted({str(one) for name, table in job.boxes.items() if name in job.files for one in table["class"]})
    numbers = job.numbers
    if numbers is None:
        numbers = {name: find(name, opened.labels) for name in names}
    numbered = {}
    for name in job.files:
        if name in job.boxes:
            table = localization.number_classes(job.boxes[name], numbers)
            numbered[name] = list(zip(table["class"].tolist(), table["box"].tolist(), strict=True))
    return numbered


def _numbers(path: Path | None) -> dict[str, int] | None:
    """Read a table of class names: every column but the number's holds names of it."""
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        column = next(name for name in rows[0] if name == "index" or name.endswith("_index"))
        return {row[name]: int(row[column]) for row in rows for name in row if name != column}
    except (StopIteration, IndexError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV with a column index (or …_index) of whole numbers: {error!r}.") from error
