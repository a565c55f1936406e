"""``kerasal probe``: the accuracy of linear classifiers on the features of layers."""

import warnings
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from kerasal.cli import completion, options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.json_output import record, with_json
from kerasal.cli.model_argument import Load, with_model
from kerasal.cli.session import load_tensorflow, remark_when_stopped, results, say, warnings_as_remarks, write_csv


@with_json
@with_model("preprocessing", "weights")
def probe(
    load: Load,
    folder: Annotated[
        Path, Argument(help="Folder that contains a folder of images for each class.", show_default=False)
    ],
    layers: Annotated[
        str,
        Option(
            "--layers",
            "-l",
            help="Names or paths of layers, separated by commas, such as pool1,pool3.",
            show_default=False,
            autocompletion=completion.layer_list,
        ),
    ],
    per_class: Annotated[
        list[int] | None, Option(help="Number of training images per class; repeatable. Default: 15.")
    ] = None,
    folds: Annotated[int, Option(help="Number of random draws of training images.", min=1)] = 5,
    classifier: Annotated[list[str] | None, Option(help="svm or softmax; repeatable. Default: svm.")] = None,
    pool: Annotated[
        int, Option(help="Average maps to at most this many cells per side; 0 keeps every value.", min=0)
    ] = 6,
    cost: Annotated[
        float,
        Option(help="Weight of the errors relative to the squared weights (scikit-learn's C)."),
        Formerly("-c"),
        Sets("c"),
    ] = 10.0,
    random: Annotated[bool, Option("--random", help="Also probe the same model with random weights.")] = False,
    output: Annotated[Path | None, options.Output(help="The CSV table to write.")] = None,
    picture: Annotated[Path | None, Option(help="Also draw the accuracy of each layer.")] = None,
    cache: Annotated[
        Path | None,
        Option(help="Keep the features in this folder for later runs and for a run that was stopped."),
    ] = None,
    fit: options.Fit = "crop",
    size: options.Size = None,
    seed: options.Seed = 0,
) -> None:
    """Train linear classifiers on the frozen features of layers, and report their test accuracy.

    For example: kerasal probe MODEL.keras caltech/ --layers pool1,pool3 --per-class 15 --per-class 30 -o table.csv.
    Each image passes through the model once for all layers.
    """
    options.check_output(output, (".csv",))
    options.check_output(picture, (".png", ".jpg", ".jpeg", ".webp", ".pdf", ".svg"))
    names = [name.strip() for name in layers.split(",") if name.strip()]
    image_size = options.read_size(size)
    load_tensorflow()
    import pandas as pd

    from kerasal.probe import class_files

    files, labels = class_files(folder)  # before the model, so that a wrong path is reported at once
    model = load()
    settings = {
        "per_class": per_class or [15],
        "folds": folds,
        "classifier": classifier or ["svm"],
        "c": cost,
        "pool": pool or None,
        "preprocessing": model.preprocessing,
        "fit": fit,
        "size": image_size,
        "cache": cache,
        "seed": seed,
        "progress": True,
    }
    tables = _probe(model.keras_model, names, files, labels, settings, random)
    first = next(iter(tables.values()))
    say(
        f"{first.attrs['images']} images of {len(first.attrs['classes'])} classes; chance {first.attrs['chance']:.3f}; "
        f"mean ± standard deviation over {folds} folds"
    )
    _print_accuracies(tables)
    parts = [table.assign(weights=name) if name else table for name, table in tables.items()]
    facts = {key: first.attrs[key] for key in ("images", "classes", "chance")}
    record(accuracies=pd.concat(parts, ignore_index=True), **facts, output=output, picture=picture)
    if output is not None:
        write_csv(output, pd.concat(parts, ignore_index=True))
        say(f"{output}  {sum(map(len, parts))} rows")
    if picture is not None:
        from kerasal.files import atomic_write
        from kerasal.probe import draw_probe

        with atomic_write(picture) as temporary:
            draw_probe(tables, f"{model.name} on {folder.name}").savefig(temporary, dpi=150)
        say(str(picture))


def _probe(model, layers: list[str], files, labels, settings: dict, random: bool) -> dict:
    """Return tables of accuracies by name of the weights: the model's and, if ``random``, random weights."""
    from kerasal import probe as routines

    kept = (
        "Stopped. Finished blocks of features are kept; run the same command again to continue."
        if settings["cache"]
        else "Stopped. Nothing is kept; --cache FOLDER would keep the features."
    )
    with warnings_as_remarks(), remark_when_stopped(kept):
        table = routines.layer_probe(model, layers, files, labels, **settings)
    if not random:
        return {"": table}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they were printed above
        untrained = routines.randomize_weights(model, seed=settings["seed"])
        return {"as given": table, "random weights": routines.layer_probe(untrained, layers, files, labels, **settings)}


def _print_accuracies(tables: dict) -> None:
    """Print a row for each layer, with a column for each classifier and number of training images."""
    from rich.table import Column, Table

    first = next(iter(tables.values()))
    runs = list(dict.fromkeys(zip(first["classifier"], first["per_class"], strict=True)))
    for name, table in tables.items():
        scores = [f"{classifier}, {count}" for classifier, count in runs]
        shown = Table(Column("layer", no_wrap=True), "features", *scores, title=name or None)
        for layer, rows in table.groupby("layer", sort=False):
            by_run = {(row.classifier, row.per_class): row for row in rows.itertuples()}
            accuracies = [by_run[run] for run in runs]
            cells = [f"{row.mean:.3f}" + ("" if row.std != row.std else f" ± {row.std:.3f}") for row in accuracies]
            shown.add_row(layer, f"{rows['features'].iloc[0]:,}", *cells)
        results().print(shown)
