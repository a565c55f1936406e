"""``kerasal score``: a folder of maps against fixations, into a table, a CSV and a box plot."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from kerasal.cli.outputs import check_output


class Definition(enum.StrEnum):
    """Whose numbers."""

    mit = "mit"
    tuebingen = "tuebingen"
    salicon = "salicon"
    coursework = "coursework"


def score(
    maps: Annotated[Path, typer.Argument(help="Folder of saliency maps: PNG, JPEG or NPY, one an image.")],
    fixations: Annotated[
        Path,
        typer.Argument(
            help="Folder of fixation maps (PNG, NPY), coordinates (CSV: x,y) or .mat, named like the maps; "
            "or one CSV with image,x,y; or OSIE's fixations.mat. Coordinates are 0-based, except in .mat."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The table; a .json and a .png go beside it.")] = Path(
        "scores.csv"
    ),
    definition: Annotated[
        Definition, typer.Option(help="Whose definitions; never mix two in one table.")
    ] = Definition.mit,
    metric: Annotated[
        list[str] | None, typer.Option("-m", "--metric", help="Only these metrics (repeat the option).")
    ] = None,
    densities: Annotated[
        Path | None, typer.Option(help="Folder of density maps for cc, similarity, kld and emd.")
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(help="Without --densities: blur the fixations by so many pixels, or coursework (19), osie (24)."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT that coordinates refer to, if not the map's own.")
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Resize maps to the fixations' size as Matlab does.")
    ] = False,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Also score: center, mean (of the other images), or none.")
    ] = None,
    legacy: Annotated[
        bool,
        typer.Option("--legacy", help="coursework only: wrap values outside 0..1 around, as the original run did."),
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Images scored at the same time.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the choice of other images.")] = 0,
) -> None:
    """Score saliency maps against fixations.

    An interrupted run continues where it stopped when the same command is given again. What cannot be read is named and
    counted, and makes the exit code 1.
    """
    from kerasal.cli import score_job, score_run

    if output.suffix.lower() != ".csv":
        raise ValueError(f"--output: expected a name that ends in .csv, received {output}.")
    check_output(output, (".csv",), beside=(".json", ".png"))
    if legacy and definition is not Definition.coursework:
        raise ValueError("--legacy belongs to --definition coursework.")
    job = score_job.prepare(
        maps,
        fixations,
        densities=densities,
        definition=str(definition),
        metrics=metric,
        sigma=sigma,
        size=_size(size),
        resize="matlab" if resize else None,
        baselines=baseline,
        legacy=legacy,
        seed=seed,
    )
    table = score_run.run(job, output, processes)
    _finish(job, table, output)


def _finish(job, table, output: Path) -> None:
    """Write the files beside each other, show the table, and turn failures into an error or exit code 1."""
    from kerasal.cli import score_journal, score_report
    from kerasal.files import replacing

    report = score_report.Report(table, job.definitions)
    with replacing(output) as path:
        report.write_csv(path)
    with replacing(output.with_suffix(".json")) as path:
        report.write_json(path, job.settings)
    if report.scored:
        with replacing(output.with_suffix(".png")) as path:
            report.draw(path)
    score_journal.journal_of(output).unlink(missing_ok=True)
    report.show(output, job.notes)
    if not report.scored:
        raise ValueError(f"None of the {len(table)} images could be scored; the column error of {output} says why.")
    if report.failed.size:
        raise typer.Exit(code=1)


def _size(text: str | None) -> tuple[int, int] | None:
    """Return (H, W) from WIDTHxHEIGHT."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"--size: expected WIDTHxHEIGHT such as 640x480, received {text!r}.")
    return int(parts[1]), int(parts[0])
