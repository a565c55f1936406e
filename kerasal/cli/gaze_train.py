"""``kerasal gaze train``: training of a gaze model by a recipe, into a folder from which a stopped run continues."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option, echo

from kerasal.cli import completion, gaze_options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.options import (
    Fresh,
    ModelOption,
    Output,
    Preprocessing,
    Quiet,
    Size,
    Strategy,
    Unsafe,
    Weights,
    read_options,
    read_size,
    with_options,
)
from kerasal.cli.outputs import refuse_inputs
from kerasal.cli.session import command_line, exit_when_stopped, join_workers, load_tensorflow, remark


class _Changes:
    """Changes to a recipe; an option that is not set keeps the recipe's value."""

    epochs: Annotated[int | None, Option(help="Total number of epochs. Default: the recipe's.")] = None
    batch_size: Annotated[int | None, Option(help="Number of images per step. Default: the recipe's.")] = None
    rate: Annotated[
        float | None,
        Option("--learning-rate", help="Learning rate, constant. Default: the recipe's."),
        Formerly("--rate"),
        Sets("rate"),
    ] = None
    loss: Annotated[
        str | None,
        Option(
            help="mse, nss, cc, kld, similarity, likelihood, center_distance, center_correlation, or a sum such as "
            "kld=1,cc=0.2. Default: the recipe's."
        ),
    ] = None
    mirror: Annotated[
        Literal["both", "half", "none"] | None,
        Option(
            help="Train on each image and its mirror image (both; mirror images in the data are not made again), on "
            "one of them at random (half), or without mirror images (none). Default: the recipe's."
        ),
    ] = None
    validate_every: Annotated[int | None, Option(help="Epochs between validations. Default: the recipe's.")] = None
    keep: Annotated[
        Literal["last", "best"] | None,
        Option(help="Keep the last weights, or those with the best validation loss. Default: the recipe's."),
    ] = None
    seed: Annotated[
        int | None, Option(help="Seed of the initial weights, the order and the mirroring. Default: 0.")
    ] = None


@with_options("changes", _Changes)
def train(
    model: Annotated[
        str,
        Argument(help="A zoo model, such as shallow_saliency, or a .keras file.", autocompletion=completion.models),
    ],
    data: gaze_options.Data,
    changes: dict,
    output: Annotated[Path | None, Output(help="The folder of the run. Default: runs/MODEL.")] = None,
    recipe: Annotated[
        Literal["default", "coursework", "paper", "lasagne", "he_pugeault", "gaze", "gaze_tune"],
        Option(help="Settings of the training, which other options can change."),
    ] = "default",
    validation: Annotated[
        Path | None,
        Option(help="Validation data. Default: the data's part val, or a tenth of the training images."),
    ] = None,
    split: Annotated[
        str | None, Option(help="Part of the data, such as train, or 'all'. Default: train, else all.")
    ] = None,
    sigma: gaze_options.Sigma = None,
    weights: Weights = None,
    model_option: Annotated[
        ModelOption,
        Formerly("--preset", kind=str, convert=lambda preset: [f"preset={preset}"], now="--model-option preset=NAME"),
    ] = None,
    variant: Annotated[str | None, Option(help="Short for --model-option variant=NAME.")] = None,
    batch_norm: Annotated[bool, Option("--batch-norm", help="Short for --model-option batch_norm=True.")] = False,
    center_bias: Annotated[
        Literal["none", "fixed", "learned"],
        Option(help="Multiply the maps by a Gaussian in the center, fixed or learned."),
    ] = "none",
    preprocessing: Preprocessing = None,
    size: Size = None,
    strategy: Strategy = None,
    tensorboard: Annotated[bool, Option("--tensorboard", help="Also write event files for TensorBoard.")] = False,
    fresh: Fresh = False,
    quiet: Quiet = False,
    unsafe: Unsafe = False,
) -> None:
    """Train a gaze model; write weights, history and curves. The same command continues a stopped run."""
    texts = list(model_option or ())
    texts += [f"variant={variant}"] if variant is not None else []
    texts += ["batch_norm=True"] if batch_norm else []
    output = Path("runs") / Path(model).stem if output is None else output
    zoo_options = read_options(texts)  # before TensorFlow is loaded, so that mistakes are reported at once
    run = {"sigma": sigma, "strategy": strategy, "tensorboard": tensorboard, "resume": not fresh, "progress": not quiet}
    about = {
        "recipe": recipe,
        "model": model,
        "options": texts,
        "weights": weights,
        "center_bias": center_bias,
        "data": [str(path) for path in data],
        **({"command": command} if (command := command_line.get()) else {}),
    }
    image_size = read_size(size)
    with exit_when_stopped():
        is_chief = join_workers(strategy)
        run["progress"] &= is_chief
        from kerasal.datasets import open_training_sets

        training_set, validation_set, notes = open_training_sets(
            data, validation, split, seed=changes["seed"] or 0
        )  # before the model is built
        about["split"] = {
            "how": " ".join(notes) or "all images of --data, and those of --validation",
            "part": split,
            "validation_data": None if validation is None else str(validation),
            "seed": changes["seed"] or 0,
        }
        if is_chief:
            for note in notes:
                remark(note)
        load_tensorflow()
        from kerasal import training
        from kerasal.training.results import gaze_files

        settings = training.recipe(recipe, **changes)
        setup = training.prepare_gaze(
            model,
            weights=weights,
            options=zoo_options,
            preprocessing=preprocessing,
            size=image_size,
            center_bias=center_bias,
            seed=settings.seed,
            unsafe=unsafe,
        )
        if is_chief:
            counts = f"{len(training_set)} images to train on, {len(validation_set)} to validate on."
            remark(f"{counts} Recipe {recipe}: {settings.source}.")
        refuse_inputs((output / name for name in gaze_files(setup.model.name)), folders=False)
        result = training.train_gaze(
            setup.model,
            training_set,
            validation_set,
            settings,
            output,
            preprocessing=setup.preprocessing,
            size=setup.size,
            about=about,
            start=setup.start,
            **run,
        )
    if is_chief:
        _report(result)


def _report(result) -> None:
    """Print the validation of the kept weights, the written files and the next commands."""
    validated = result.history.dropna(subset="val_loss")
    best = validated.loc[validated["val_loss"].idxmin()]
    last = validated.iloc[-1]
    kept = best if result.recipe.keep == "best" else last
    for name, reason in result.skipped.items():
        echo(f"Not trained on: {name}: {reason}", err=True)
    echo(
        f"validation after epoch {int(kept['epoch'])}{' (kept: the best)' if result.recipe.keep == 'best' else ''}: "
        f"loss {kept['val_loss']:.5g}, MSE {kept['val_mse']:.5g}, CC {kept['val_cc']:.4f}"
    )
    names = sorted(path.name for path in result.output.iterdir() if not path.name.startswith("."))
    echo(f"{len(result.history)} epochs, {len(result.steps)} steps. In {result.output}: {', '.join(names)}.")
    echo(f"Next: kerasal gaze evaluate {result.output} --data …, or kerasal gaze predict {result.output} IMAGE…")
