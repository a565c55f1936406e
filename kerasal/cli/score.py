"""``kerasal score``: a folder of maps against fixations, into a table, a CSV and a box plot."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Exit, Option

from kerasal.cli import options
from kerasal.cli.session import when_stopped

_NAMED_NOTES = 20


def score(
    maps: Annotated[Path, Argument(help="Folder of saliency maps: PNG, JPEG or NPY, one an image.")],
    fixations: Annotated[
        Path,
        Argument(
            help="Folder of fixation maps (PNG, NPY), coordinates (CSV: x,y) or .mat, named like the maps; "
            "or one CSV with image,x,y; or OSIE's fixations.mat. Coordinates are 0-based, except in .mat."
        ),
    ],
    output: options.ScoreTable = Path("scores.csv"),
    definition: Annotated[
        Literal["mit", "tuebingen", "salicon", "coursework"],
        Option(help="Whose definitions; never mix two in one table."),
    ] = "mit",
    metric: Annotated[
        list[str] | None, Option("-m", "--metric", help="Only these metrics (repeat the option).")
    ] = None,
    densities: Annotated[Path | None, Option(help="Folder of density maps for cc, similarity, kld and emd.")] = None,
    sigma: Annotated[
        str | None,
        Option(help="Without --densities: blur the fixations by so many pixels, or coursework (19), osie (24)."),
    ] = None,
    size: Annotated[str | None, Option(help="WIDTHxHEIGHT that coordinates refer to, if not the map's own.")] = None,
    resize: Annotated[bool, Option("--resize", help="Resize maps to the fixations' size as Matlab does.")] = False,
    baseline: Annotated[
        list[str] | None, Option(help="Also score: center, mean (of the other images), or none.")
    ] = None,
    legacy: Annotated[
        bool, Option("--legacy", help="coursework only: wrap values outside 0..1 around, as the original run did.")
    ] = False,
    processes: Annotated[int, Option(min=1, help="Images scored at the same time.")] = 1,
    seed: Annotated[int, Option(help="Of the choice of other images.")] = 0,
) -> None:
    """Score saliency maps against fixations.

    An interrupted run continues where it stopped when the same command is given again. What cannot be read is named and
    counted, and makes the exit code 1.
    """
    if output.suffix.lower() != ".csv":
        raise ValueError(f"--output: expected a name that ends in .csv, received {output}.")
    options.check_output(output, (".csv",), beside=(".json", ".png"))
    if legacy and definition != "coursework":
        raise ValueError("--legacy belongs to --definition coursework.")
    from kerasal import metrics

    with when_stopped():
        report = metrics.evaluate_folder(
            maps,
            fixations,
            densities,
            definition=definition,
            metrics=metric or None,
            sigma=None if sigma is None else options.number_or_word(sigma),
            size=_size(size),
            resize="matlab" if resize else None,
            baselines=() if baseline == ["none"] else baseline or None,
            legacy=legacy,
            seed=seed,
            output=output,
            processes=processes,
            progress=True,
        )
    show_scores(report, output)


def show_scores(report, output: Path) -> None:
    """Print the summary and the definitions of a report; notes and failures go to the error stream.

    Failures make the exit code 1, and nothing but failures is an error.
    """
    from rich.console import Console
    from rich.table import Table

    from kerasal.metrics import BASELINES

    console, complaints = Console(), Console(stderr=True)
    if report.summary is not None:
        caption = "mean ± standard error [95 % bootstrap interval over images]"
        shown = Table(title=f"{report.scored} images", caption=caption)
        shown.add_column("metric", no_wrap=True)
        for column in ("maps", *report.baselines):
            shown.add_column(column, justify="right")
        for name in report.rows:
            maps, *others = (report.summary.loc[column] for column in report.columns(name))
            shown.add_row(name, _cell(maps), *(f"{other['mean']:.4f}" for other in others))
        console.print(shown)
        texts = [f"{name}: {report.definitions[name]}" for name in report.rows]
        texts += [f"{baseline}: {BASELINES[baseline]}" for baseline in report.baselines]
        for text in texts:
            console.print(text, markup=False, highlight=False)
    names = [output, output.with_suffix(".json").name, output.with_suffix(".png").name]
    console.print(f"Written: {', '.join(map(str, names))}", markup=False)
    for note in report.notes[:_NAMED_NOTES]:
        complaints.print(note, markup=False, highlight=False)
    if not report.failed.size:
        return
    complaints.print(f"{report.failed.size} of {len(report.table)} images could not be scored:", markup=False)
    for name, reason in report.failed.items():
        complaints.print(f"  {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if not report.scored:
        raise ValueError(
            f"None of the {len(report.table)} images could be scored; the column error of {output} says why."
        )
    raise Exit(code=1)


def _cell(row) -> str:
    text = f"{row['mean']:.4f} ± {row['standard_error']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
    return text + (f" ({int(row['undefined'])} undefined)" if row["undefined"] else "")


def _size(text: str | None) -> tuple[int, int] | None:
    """Return (H, W) from WIDTHxHEIGHT."""
    if text is None:
        return None
    if (size := options.sides(text)) is None:
        raise ValueError(f"--size: expected WIDTHxHEIGHT such as 640x480, received {text!r}.")
    return size[1], size[0]
