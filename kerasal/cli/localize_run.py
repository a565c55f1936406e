"""The work behind ``kerasal localize-score``: localise each image, keep a journal, sum up."""

import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from kerasal.cli.localize_truth import Job, Truth, fitted, numbered
from kerasal.cli.score_journal import continued, journal_of, resume, stamps
from kerasal.progress import progress_bar

_OWN_ERRORS = (ValueError, OSError, MemoryError)
_COLUMNS = ("missed_1", "missed_top", "iou", "correct", "guesses", "error")
_NAMED_FAILURES = 20


def run(job: Job, opened, output: Path, settings: dict[str, Any]) -> pd.DataFrame:
    """Localise every image that the journal of an interrupted run does not have; return a table with ``error``."""
    truths = numbered(job, opened.labels)
    names = [name for name in job.files if name not in job.errors]
    todo = {name: json.loads(json.dumps([stamps(job.files[name]), truths[name]])) for name in names}
    header = json.dumps({"settings": settings}, sort_keys=True)
    journal = journal_of(output)
    rows = resume(journal, header, todo)
    if rows:
        job.notes.append(f"{len(rows)} images were taken over from the interrupted run.")
    missing = [name for name in names if name not in rows]
    with continued(journal, header, bool(rows)) as file, progress_bar("Localising", len(missing)) as advance:
        for name in missing:
            rows[name] = _row(opened, job.files[name], truths[name], name, settings)
            file.write(json.dumps({"image": name, "stamp": todo[name], "row": rows[name]}) + "\n")
            file.flush()
            advance(1)
    rows |= {name: {"error": message} for name, message in job.errors.items()}
    table = pd.DataFrame.from_dict({name: rows[name] for name in sorted(rows)}, orient="index")
    table.index.name = "image"
    return table.reindex(columns=list(_COLUMNS))


def _row(opened, file: Path, truth: list[Truth], name: str, settings: dict) -> dict[str, Any]:
    """Return the row of one image: its values, or why there are none under ``error``."""
    from kerasal import hooks, images

    try:
        photograph = images.read(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map without any evidence: the whole image is the guess
            warnings.simplefilter("default", hooks.NoLogits)
            return _scored(opened, photograph, truth, name, settings)
    except _OWN_ERRORS as error:
        return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}


def _scored(opened, photograph, truth: list[Truth], name: str, settings: dict) -> dict[str, Any]:
    from kerasal import localization

    boxes: dict[int, list] = {}
    for one in truth:
        boxes.setdefault(one.number, []).append(fitted(one, photograph.shape[:2], name))
    how = {key: value for key, value in settings.items() if key not in ("model", "preprocessing", "iou", "top")}
    how["preprocessing"] = opened.preprocessing
    found = localization.localize(opened.model, photograph, top=settings["top"], **how)
    told = dict(zip(found["class"], found["box"], strict=True))
    unguessed = [number for number in boxes if number not in told]
    if unguessed:
        more = localization.localize(opened.model, photograph, classes=unguessed, **how)
        told |= dict(zip(more["class"], more["box"], strict=True))
    overlaps = [localization.mean_iou([told[number]], [boxes[number]]) for number in boxes]
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
