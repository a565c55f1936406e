"""``kerasal train``: train a classifier, on MNIST or on folders of photographs, one a class."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasal.cli.options import Preprocessing, Strategy, Unsafe, layer_channels, options_of
from kerasal.cli.outputs import refuse_inputs
from kerasal.cli.session import join_workers
from kerasal.cli.train_data import Asked


def train(
    model: Annotated[
        str, typer.Argument(help="A classifier of the zoo, such as mnist_cnn or five_class_cnn, or a .keras file.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a folder of images for each class (or parts train and val with these), or MNIST: "
            "mnist.npz, or a folder with it or with the four IDX files. Default, for mnist_cnn: download (11 MB)."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder of this run. Default: runs/MODEL.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs in all. Default: the recipe's, or 10.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step. Default: the recipe's, or 32.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam. Default: the recipe's, or .0001.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Decides starting weights, split, order, augmentation and dropout. Default: the recipe's, or 0."
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(help="The only class folders to use, in this order: goldfish,lemon; or once for each, whole."),
    ] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of each class to test on, where the folder has no part for it.")
    ] = 0.2,
    fit: Annotated[
        Literal["crop", "stretch"], typer.Option(help="Cut images of class folders to the model's shape, or stretch.")
    ] = "crop",
    shift: Annotated[float, typer.Option(help="Augment: shift by up to this share of the sides, such as .1.")] = 0.0,
    scale: Annotated[float, typer.Option(help="Augment: enlarge or shrink by up to this share, such as .1.")] = 0.0,
    flip: Annotated[
        bool, typer.Option("--flip", help="Augment: mirror a random half. Not for digits, letters, left and right.")
    ] = False,
    weights: Annotated[
        str | None, typer.Option(help="Weights of a zoo model to start from: a name or a file. Default: random.")
    ] = None,
    net_option: Annotated[
        list[str] | None,
        typer.Option(
            "--net-option", help="An option of a zoo model as KEY=VALUE; may be repeated. `kerasal card NET`."
        ),
    ] = None,
    preprocessing: Preprocessing = None,
    evolution: Annotated[
        Path | None,
        typer.Option(help="Also store there, at epochs 1, 2, 5, 10, …, what excites features most, and draw it."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="For --evolution, as LAYER:0-7; may be repeated. Default: the first 8 of each convolution."),
    ] = None,
    strategy: Strategy = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over and replace the run in the folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    unsafe: Unsafe = False,
) -> None:
    """Train a classifier and keep weights, history and curves; started again, a stopped run goes on.

    For example: kerasal train five_class_cnn --data PHOTOS, where PHOTOS/goldfish/1.jpg is a goldfish. The commands
    that look into a model take the folder of the run, and know its classes and pixels.
    """
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    if features and evolution is None:
        raise typer.BadParameter("--features goes with --evolution FOLDER")
    watched = None if evolution is None else (evolution, [layer_channels(text) for text in features or ()])
    asked = Asked(
        model,
        data,
        _listed(classes),
        test_share,
        fit,
        {"shift": shift, "scale": scale, "flip": flip},
        weights,
        options_of(net_option),
        preprocessing,
        unsafe,
        not quiet,
    )
    try:
        output = Path("runs") / Path(model).stem if output is None else output
        _train(asked, output, given, {"strategy": strategy, "resume": not fresh}, watched)
    except KeyboardInterrupt as stopped:
        typer.echo(f"\n{str(stopped) or 'Stopped before the training began; nothing was changed.'}", err=True)
        raise typer.Exit(130) from None


def _listed(classes: list[str] | None) -> list[str] | None:
    """Read names that are separated by commas; given several times each is one name, which may hold commas."""
    if not classes or len(classes) > 1:
        return classes or None
    return [name.strip() for name in classes[0].split(",")]


def _train(asked: Asked, output: Path, given: dict, how: dict, watched: tuple | None) -> None:
    from kerasal.cli.train_data import opened

    speaks = join_workers(how["strategy"])
    asked = dataclasses.replace(asked, progress=asked.progress and speaks, speaks=speaks)
    found = opened(asked, given)
    from kerasal import training
    from kerasal.training import results

    network, convention = found.network, found.convention
    written = [output / name for name in results.files(network.name)]
    written += [] if watched is None else [watched[0] / "evolution.png"]
    images = [file for part in (found.train, found.test) for file in getattr(part, "files", ())]
    refuse_inputs(written, read=images, folders=False)
    changes = training.Augmentation(**asked.augmentation)
    callbacks = []
    if watched is not None and speaks:
        callbacks = [_watcher(network, found.shown(1000), *watched, convention, fresh=not how["resume"])]
    result = training.train(
        network,
        found.train,
        found.test,
        output,
        **found.recipe,
        augmentation=changes or None,
        preprocessing=convention,
        class_names=found.names,
        **how,
        progress=asked.progress,
        callbacks=callbacks,
        start=found.start,
    )
    if speaks:
        _write_skipped(found, output)
        _tell(found, output, len(result.history), watched)


def _write_skipped(found, output: Path) -> None:
    """Write which files were left out, and why."""
    skipped = getattr(found.train, "skipped", {}) | getattr(found.test, "skipped", {})
    if skipped:
        import pandas as pd

        from kerasal.batch.image_list import as_text
        from kerasal.files import replacing

        with replacing(output / "skipped.csv") as temporary:
            rows = [(as_text(name), as_text(reason)) for name, reason in sorted(skipped.items())]
            pd.DataFrame(rows, columns=["file", "reason"]).to_csv(temporary, index=False)


def _tell(found, output: Path, epochs: int, watched: tuple | None) -> None:
    from kerasal import training

    network, convention = found.network, found.convention
    weights = output / f"{network.name}.weights.h5"
    for what, part in (("train accuracy", found.train), ("test accuracy ", found.test)):
        share, images = training.accuracy(network, part, convention), found.count(part)
        typer.echo(f"{what} {share:.4f}  ({images:,} images{', dropout off' * (part is found.train)})")
    ran = f"{epochs} epoch{'s' * (epochs != 1)}, seed {found.recipe['seed']}"
    typer.echo(f"{ran}. In {output}: {', '.join(_written(network.name))}.")
    if watched is not None:
        typer.echo(f"How its features came about: {watched[0] / 'evolution.png'}.")
    typer.echo(f"Next: {found.next_step(weights, output)}, or --epochs to train longer.")


def _watcher(network, images, folder: Path, features: list, convention, fresh: bool):
    """Return the callback that watches features come about, on some of the training images."""
    from kerasal import hooks
    from kerasal.receptive_field import FeatureEvolution

    import keras

    if not features:
        features = [(path, None) for path, one in hooks.layers(network) if isinstance(one, keras.layers.Conv2D)]
    if not features:
        raise ValueError(f"{network.name} has no convolution to watch; say --features LAYER:0-7.")
    chosen = {
        layer: list(range(min(8, hooks.find_layer(network, layer)[1].output.shape[-1])))
        if channels is None
        else channels
        for layer, channels in features
    }
    return FeatureEvolution(folder, images, chosen, preprocessing=convention, overwrite=fresh)


def _written(name: str) -> tuple[str, ...]:
    return f"{name}.weights.h5", f"{name}.keras", "history.csv", "curves.png", "confusion.png", "checkpoint.npz"
