"""``kerasal train``: train a model of the zoo by its recipe."""

from pathlib import Path
from typing import Annotated

import typer

from kerasal.cli.options import layer_channels


def train(
    model: Annotated[str, typer.Argument(help="A model of the zoo with a training recipe, for example mnist_cnn.")],
    data: Annotated[
        Path | None,
        typer.Option(help="mnist.npz, or a folder with it or with the four IDX files. Default: download (11 MB)."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The folder of this run. Default: runs/MODEL.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs in all. Default: the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step. Default: the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam. Default: the recipe's.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides starting weights, order and dropout. Default: the recipe's.")
    ] = None,
    evolution: Annotated[
        Path | None,
        typer.Option(help="Also store there, at epochs 1, 2, 5, 10, …, what excites features most, and draw it."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="For --evolution, as LAYER:0-7; may be repeated. Default: the first 8 of each convolution."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over and replace the run in the folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train a model of the zoo and keep weights, history and curves; started again, a stopped run goes on."""
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    if features and evolution is None:
        raise typer.BadParameter("--features goes with --evolution FOLDER")
    watched = None if evolution is None else (evolution, [layer_channels(text) for text in features or ()])
    try:
        _train(model, data, Path("runs") / model if output is None else output, given, fresh, quiet, watched)
    except KeyboardInterrupt as stopped:
        typer.echo(f"\n{str(stopped) or 'Stopped before the training began; nothing was changed.'}", err=True)
        raise typer.Exit(130) from None


def _recipe(model: str, given: dict) -> dict:
    """Return the arguments of ``training.train``: the model's recipe, overruled by what was ``given``."""
    from kerasal.registry import model_spec

    recipe = dict(model_spec(model).recipe or {})
    if recipe.pop("data", None) != "mnist":
        raise ValueError(
            f"{model} has no recipe that this command can train. Trainable: {', '.join(_trainable())}. Any other "
            "classifier is trained from Python with kerasal.training.train."
        )
    recipe |= given
    if not 0 <= recipe["seed"] < 2**32:
        raise ValueError(f"--seed is a whole number in 0..{2**32 - 1}. Received: {recipe['seed']}.")
    return recipe


def _trainable() -> list[str]:
    from kerasal.registry import list_models, model_spec

    return [name for name in list_models() if dict(model_spec(name).recipe or {}).get("data") == "mnist"]


def _train(
    model: str, data: Path | None, output: Path, given: dict, fresh: bool, quiet: bool, watched: tuple | None
) -> None:
    from kerasal.cli.session import load_tensorflow

    load_tensorflow()
    recipe = _recipe(model, given)
    from kerasal import create_model, model_spec, preprocessing
    from kerasal.datasets import mnist

    splits = mnist(data)  # first: a wrong path is told before anything is built

    import keras
    import tensorflow as tf

    from kerasal import training

    if tf.config.list_physical_devices("GPU"):  # on a CPU these operations are deterministic as they are
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(recipe["seed"])
    network = create_model(model)
    convention = preprocessing.get(model_spec(model).preprocessing)
    train_data, test_data = ((convention.apply(images[..., None]), labels) for images, labels in splits)
    callbacks = [] if watched is None else [_watcher(network, train_data[0], *watched, convention, fresh)]
    result = training.train(
        network, train_data, test_data, output, **recipe, resume=not fresh, progress=not quiet, callbacks=callbacks
    )
    weights = output / f"{network.name}.weights.h5"
    typer.echo(
        f"train accuracy {training.accuracy(network, train_data):.4f}  ({len(train_data[0]):,} images, dropout off)"
    )
    typer.echo(f"test accuracy  {training.accuracy(network, test_data):.4f}  ({len(test_data[0]):,} images)")
    typer.echo(
        f"{len(result.history)} epochs, seed {recipe['seed']}. In {output}: {', '.join(_written(network.name))}."
    )
    if watched is not None:
        typer.echo(f"How its features came about: {watched[0] / 'evolution.png'}.")
    typer.echo(f'Next: kerasal.create_model("{model}", weights="{weights}"), or --epochs to train longer.')


def _watcher(network, images, folder: Path, features: list, convention, fresh: bool):
    """Return the callback that watches features come about, on the first thousand training images."""
    import keras

    from kerasal import hooks
    from kerasal.receptive_field import FeatureEvolution

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
    return FeatureEvolution(folder, images[:1000], chosen, preprocessing=convention, overwrite=fresh)


def _written(name: str) -> tuple[str, ...]:
    return f"{name}.weights.h5", f"{name}.keras", "history.csv", "curves.png", "checkpoint.npz"
