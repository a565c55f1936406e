"""``kerasal gaze train``: a gaze net by a recipe, into a folder from which a stopped run goes on."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option, echo

from kerasal.cli import gaze_opening as opening
from kerasal.cli.options import Fresh, NetOption, Output, Quiet, Strategy, Unsafe, options_of, taking
from kerasal.cli.outputs import refuse_inputs
from kerasal.cli.session import exit_when_stopped, join_workers, load_tensorflow, remark


class _Changes:
    """What changes a recipe."""

    epochs: Annotated[int | None, Option(help="Epochs in all.")] = None
    batch_size: Annotated[int | None, Option(help="Images a step.")] = None
    rate: Annotated[float | None, Option(help="A constant learning rate.")] = None
    loss: Annotated[str | None, Option(help="mse, nss, cc, kld, similarity, or a sum: kld=1,cc=0.2.")] = None
    mirror: Annotated[
        Literal["both", "half", "none"] | None,
        Option(help="Each image and its mirror image, a random half of them, or none mirrored."),
    ] = None
    validate_every: Annotated[int | None, Option(help="Epochs between validations.")] = None
    keep: Annotated[Literal["last", "best"] | None, Option(help="The last weights, or those that validated best.")] = (
        None
    )
    seed: Annotated[int | None, Option(help="Of starting weights, order and mirroring. Default: 0.")] = None


@taking("changes", _Changes)
def train(
    net: Annotated[str, Argument(help="A zoo net, such as shallow_saliency, or a .keras file.")],
    data: opening.Data,
    changes: dict,
    output: Annotated[Path | None, Output(help="The folder of this run. Default: runs/NET.")] = None,
    recipe: Annotated[
        Literal["default", "coursework", "paper", "lasagne", "he_pugeault", "gaze", "gaze_tune"],
        Option(help="Rates, loss, epochs and all else; the options below change it."),
    ] = "default",
    validation: Annotated[
        Path | None,
        Option(help="Data to validate on. Default: the data's split val, or a tenth of the training images."),
    ] = None,
    split: Annotated[str | None, Option(help="The part to train on, or 'all'. Default: train, else all.")] = None,
    sigma: opening.Sigma = None,
    weights: opening.Weights = None,
    net_option: NetOption = None,
    preset: Annotated[str | None, Option(help="Short for --net-option preset=…, such as small.")] = None,
    variant: Annotated[str | None, Option(help="Short for --net-option variant=….")] = None,
    batch_norm: Annotated[bool, Option("--batch-norm", help="Short for --net-option batch_norm=True.")] = False,
    center_bias: Annotated[
        Literal["none", "fixed", "learned"], Option(help="Multiply the maps by a center Gaussian.")
    ] = "none",
    preprocessing: opening.Preprocessing = None,
    size: opening.Size = None,
    strategy: Strategy = None,
    tensorboard: Annotated[bool, Option("--tensorboard", help="Also write event files for TensorBoard.")] = False,
    fresh: Fresh = False,
    quiet: Quiet = False,
    unsafe: Unsafe = False,
) -> None:
    """Train a gaze net, and keep weights, history and curves; started again, a stopped run goes on."""
    options = list(net_option or ())
    options += [f"{key}={value}" for key, value in (("preset", preset), ("variant", variant)) if value is not None]
    options += ["batch_norm=True"] if batch_norm else []
    output = Path("runs") / Path(net).stem if output is None else output
    options_of(options)  # a typing error is told before TensorFlow is loaded
    run = {"sigma": sigma, "strategy": strategy, "tensorboard": tensorboard, "resume": not fresh, "progress": not quiet}
    about = {
        "recipe": recipe,
        "model": net,
        "options": options,
        "weights": weights,
        "center_bias": center_bias,
        "data": [str(one) for one in data],
    }
    with exit_when_stopped():
        speaks = join_workers(strategy)
        run["progress"] &= speaks
        from kerasal.datasets import open_training_sets

        training_set, validation_set, notes = open_training_sets(
            data, validation, split, seed=changes["seed"] or 0
        )  # before anything is built
        if speaks:
            for note in notes:
                remark(note)
        load_tensorflow()
        from kerasal import training
        from kerasal.training.results import gaze_files

        chosen = training.recipe(recipe, **changes)
        setup = training.prepare_gaze(
            net,
            weights=weights,
            options=options_of(options),
            preprocessing=preprocessing,
            size=opening.size_of(size),
            center_bias=center_bias,
            seed=chosen.seed,
            unsafe=unsafe,
        )
        if speaks:
            counts = f"{len(training_set)} images to train on, {len(validation_set)} to validate on."
            remark(f"{counts} Recipe {recipe}: {chosen.source}.")
        refuse_inputs((output / name for name in gaze_files(setup.model.name)), folders=False)
        result = training.train_gaze(
            setup.model,
            training_set,
            validation_set,
            chosen,
            output,
            preprocessing=setup.preprocessing,
            size=setup.size,
            about=about,
            start=setup.start,
            **run,
        )
    if speaks:
        _report(result)


def _report(result) -> None:
    validated = result.history.dropna(subset="val_loss")
    best = validated.loc[validated["val_loss"].idxmin()]
    last = validated.iloc[-1]
    shown = best if result.recipe.keep == "best" else last
    for name, reason in result.skipped.items():
        echo(f"Not trained on: {name}: {reason}", err=True)
    echo(
        f"validation after epoch {int(shown['epoch'])}{' (kept: the best)' if result.recipe.keep == 'best' else ''}: "
        f"loss {shown['val_loss']:.5g}, MSE {shown['val_mse']:.5g}, CC {shown['val_cc']:.4f}"
    )
    names = sorted(path.name for path in result.output.iterdir() if not path.name.startswith("."))
    echo(f"{len(result.history)} epochs, {len(result.steps)} steps. In {result.output}: {', '.join(names)}.")
    echo(f"Next: kerasal gaze evaluate {result.output} --data …, or kerasal gaze predict {result.output} IMAGE…")
