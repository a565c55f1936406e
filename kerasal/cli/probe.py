"""``kerasal probe``: how well a linear classifier reads classes off the features of layers."""

import warnings
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from kerasal.cli import options
from kerasal.cli.opening import Load, loading
from kerasal.cli.session import load_tensorflow, results, say, warnings_as_remarks, when_stopped, write_csv


@loading("preprocessing", "weights")
def probe(
    load: Load,
    folder: Annotated[Path, Argument(help="Holds a folder of images a class.", show_default=False)],
    layers: Annotated[
        str, Option("--layers", "-l", help="Names or paths of layers, such as pool1,pool3.", show_default=False)
    ],
    per_class: Annotated[
        list[int] | None, Option(help="Training images of each class; may be given several times. Default: 15.")
    ] = None,
    folds: Annotated[int, Option(help="Random draws of training images.", min=1)] = 5,
    classifier: Annotated[
        list[str] | None, Option(help="svm or softmax; may be given several times. Default: svm.")
    ] = None,
    pool: Annotated[int, Option(help="Average maps to at most so many cells a side; 0 keeps every value.", min=0)] = 6,
    c: Annotated[float, Option("-c", help="Weight of the errors against the size of the weights.")] = 10.0,
    random: Annotated[bool, Option("--random", help="Also probe the same model with random weights.")] = False,
    output: Annotated[Path | None, options.Output(help="The table, as CSV.")] = None,
    picture: Annotated[Path | None, Option(help="Also draw the accuracies by layer.")] = None,
    cache: Annotated[
        Path | None,
        Option(help="Keep the features in this folder: a stopped probe goes on, another one starts at once."),
    ] = None,
    fit: options.Fit = "crop",
    size: options.Side = None,
    seed: options.Seed = 0,
) -> None:
    """Train linear classifiers on the frozen features of layers, and say how many test images they get right.

    For example: kerasal probe MODEL.keras caltech/ --layers pool1,pool3 --per-class 15 --per-class 30 -o table.csv.
    The images pass through the model once for all layers.
    """
    options.check_output(output, (".csv",))
    options.check_output(picture, (".png", ".jpg", ".jpeg", ".webp", ".pdf", ".svg"))
    names = [name.strip() for name in layers.split(",") if name.strip()]
    load_tensorflow()
    import pandas as pd

    from kerasal.probe import class_files

    files, labels = class_files(folder)  # first: a wrong path is told before the model is loaded
    opened = load()
    settings = {
        "per_class": per_class or [15],
        "folds": folds,
        "classifier": classifier or ["svm"],
        "c": c,
        "pool": pool or None,
        "preprocessing": opened.preprocessing,
        "fit": fit,
        "size": options.pair(size),
        "cache": cache,
        "seed": seed,
        "progress": True,
    }
    tables = _probe(opened.keras_model, names, files, labels, settings, random)
    first = next(iter(tables.values()))
    say(
        f"{first.attrs['images']} images of {len(first.attrs['classes'])} classes; chance {first.attrs['chance']:.3f}; "
        f"mean ± standard deviation over {folds} folds"
    )
    _show(tables)
    if output is not None:
        parts = [table.assign(weights=name) if name else table for name, table in tables.items()]
        write_csv(output, pd.concat(parts, ignore_index=True))
        say(f"{output}  {sum(map(len, parts))} rows")
    if picture is not None:
        from kerasal.files import replacing
        from kerasal.probe import draw_probe

        with replacing(picture) as temporary:
            draw_probe(tables, f"{opened.name} on {folder.name}").savefig(temporary, dpi=150)
        say(str(picture))


def _probe(model, layers: list[str], files, labels, settings: dict, random: bool) -> dict:
    """Return the table of a model's features; and that of its random copy's, if asked for."""
    from kerasal import probe as routines

    kept = (
        "Stopped. The features of whole blocks are kept; the same command goes on."
        if settings["cache"]
        else "Stopped. Nothing is kept; with --cache FOLDER the features would be."
    )
    with warnings_as_remarks(), when_stopped(kept):
        table = routines.layer_probe(model, layers, files, labels, **settings)
    if not random:
        return {"": table}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the same as above
        untrained = routines.randomize_weights(model, seed=settings["seed"])
        return {"as given": table, "random weights": routines.layer_probe(untrained, layers, files, labels, **settings)}


def _show(tables: dict) -> None:
    """Print a row a layer, and a column for each classifier and number of training images."""
    from rich.table import Column, Table

    first = next(iter(tables.values()))
    asked = list(dict.fromkeys(zip(first["classifier"], first["per_class"], strict=True)))
    for name, table in tables.items():
        scores = [f"{kind}, {count}" for kind, count in asked]
        shown = Table(Column("layer", no_wrap=True), "features", *scores, title=name or None)
        for layer, rows in table.groupby("layer", sort=False):
            found = {(row.classifier, row.per_class): row for row in rows.itertuples()}
            picked = [found[one] for one in asked]
            cells = [f"{row.mean:.3f}" + ("" if row.std != row.std else f" ± {row.std:.3f}") for row in picked]
            shown.add_row(layer, f"{rows['features'].iloc[0]:,}", *cells)
        results().print(shown)
