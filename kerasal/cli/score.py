"""``kerasal score``: scores of a folder of saliency maps against fixations, as a table, a CSV and a box plot."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Exit, Option

from kerasal.cli import options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.json_output import record, with_json
from kerasal.cli.session import remark_when_stopped
from kerasal.names import count_noun

_MOST_LISTED = 20


def _swap(text: str) -> str:
    """Return WIDTHxHEIGHT, the order of the former --size, as HEIGHTxWIDTH."""
    width, cross, height = text.lower().partition("x")
    return f"{height}{cross}{width}"


@with_json
def score(
    maps: Annotated[Path, Argument(help="Folder of saliency maps: PNG, JPEG or NPY, one for each image.")],
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
        Option(help="Benchmark whose definitions are used. Scores of different benchmarks cannot be compared."),
    ] = "mit",
    metric: Annotated[
        list[str] | None,
        Option("--metric", "-m", help="Compute only this metric, such as nss, cc or auc_judd; repeatable."),
    ] = None,
    densities: Annotated[Path | None, Option(help="Folder of density maps for cc, similarity, kld and emd.")] = None,
    sigma: Annotated[
        str | None,
        Option(
            help="Blur of the fixations, without --densities: standard deviation in pixels, coursework (19) or osie "
            "(24)."
        ),
    ] = None,
    coordinate_size: Annotated[
        str | None,
        Option(
            metavar="HEIGHTxWIDTH",
            help="Size of the images to which the coordinates refer. Default: the map's.",
            show_default=False,
        ),
        Formerly("--size", convert=_swap, now="--coordinate-size HEIGHTxWIDTH"),
        Sets("size"),
    ] = None,
    resize: Annotated[bool, Option("--resize", help="Resize maps to the fixations' size, as Matlab does.")] = False,
    baseline: Annotated[
        list[str] | None, Option(help="Also score this baseline: center, mean (of the other images), or none.")
    ] = None,
    legacy: Annotated[
        bool,
        Option(
            "--legacy",
            help="For definition coursework: values outside 0..1 wrap around in 8 bits, as in the original run.",
        ),
    ] = False,
    workers: Annotated[
        int,
        Option("--workers", "-n", min=1, help="Number of worker processes."),
        Formerly("--processes"),
        Sets("processes"),
    ] = 1,
    seed: Annotated[int, Option(help="Seed of the choice of other images for the shuffled AUC.")] = 0,
) -> None:
    """Score saliency maps against fixations.

    After an interruption the same command continues. Unreadable files are listed and counted, and make the exit code 1.
    """
    image_size = options.read_size(coordinate_size, "--coordinate-size")
    options.check_output(output, (".csv",), beside=(".json", ".png"))
    if legacy and definition != "coursework":
        raise BadParameter("--legacy can only be used with --definition coursework.")
    from kerasal import metrics

    with remark_when_stopped():
        report = metrics.evaluate_folder(
            maps,
            fixations,
            densities,
            definition=definition,
            metrics=metric or None,
            sigma=None if sigma is None else options.number_or_word(sigma),
            size=image_size,
            resize="matlab" if resize else None,
            baselines=() if baseline == ["none"] else baseline or None,
            legacy=legacy,
            seed=seed,
            output=output,
            processes=workers,
            progress=True,
        )
    show_scores(report, output)


def show_scores(report, output: Path) -> None:
    """Print the summary and the definitions of a report; notes and failed images go to the error stream.

    The exit code is 1 if images failed; if all failed, an error is raised.
    """
    from rich.console import Console
    from rich.table import Table

    from kerasal.metrics import BASELINES

    record(summary=report.summary, scored=report.scored, baselines=list(report.baselines), notes=report.notes)
    record(definitions=report.definitions, failed=report.failed.to_dict(), output=output)
    console, error_console = Console(), Console(stderr=True)
    if report.summary is not None:
        caption = "mean ± standard error [95 % bootstrap interval over images]"
        shown = Table(title=count_noun(report.scored, "image"), caption=caption)
        shown.add_column("metric", no_wrap=True)
        for column in ("maps", *report.references):
            shown.add_column(column, justify="right")
        for name in report.rows:
            means = [f"{reference}_{name}" for reference in report.references]
            means = [f"{report.summary.loc[key, 'mean']:.4f}" if key in report.columns(name) else "–" for key in means]
            shown.add_row(name, _cell(report.summary.loc[name]), *means)
        console.print(shown)
        texts = [f"{name}: {report.definitions[name]}" for name in report.rows]
        texts += [f"{baseline}: {BASELINES[baseline]}" for baseline in report.baselines]
        texts += [f"{name}: {report.definitions[name]}" for name in report.definitions if name.startswith("ceiling_")]
        texts += report.findings
        for text in texts:
            console.print(text, markup=False, highlight=False)
    names = [output, output.with_suffix(".json").name, output.with_suffix(".png").name]
    console.print(f"Written: {', '.join(map(str, names))}", markup=False)
    for note in report.notes[:_MOST_LISTED]:
        error_console.print(note, markup=False, highlight=False)
    if not report.failed.size:
        return
    error_console.print(f"{report.failed.size} of {len(report.table)} images could not be scored:", markup=False)
    for name, reason in report.failed.items():
        error_console.print(f"  {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if not report.scored:
        raise RuntimeError(f"None of the {len(report.table)} images could be scored. See the column error of {output}.")
    raise Exit(code=1)


def _cell(row) -> str:
    text = f"{row['mean']:.4f} ± {row['standard_error']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
    return text + (f" ({int(row['undefined'])} undefined)" if row["undefined"] else "")
