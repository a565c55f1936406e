"""``kerasal gaze train``: a gaze net by a recipe, into a folder from which a stopped run goes on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kerasal.cli import gaze_opening as opening
from kerasal.cli.options import Strategy, has_weights
from kerasal.cli.outputs import refuse_inputs
from kerasal.cli.session import join_workers


def train(
    net: Annotated[str, typer.Argument(help="A zoo net, such as shallow_saliency, or a .keras file.")],
    data: opening.Data,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder of this run. Default: runs/NET.")
    ] = None,
    recipe: Annotated[
        Literal["default", "coursework", "paper", "lasagne", "he_pugeault", "gaze", "gaze_tune"],
        typer.Option(help="Rates, loss, epochs and all else; the options below change it."),
    ] = "default",
    validation: Annotated[
        Path | None,
        typer.Option(help="Data to validate on. Default: the data's split val, or a tenth of the training images."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="The part to train on, or 'all'. Default: train, else all.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    rate: Annotated[float | None, typer.Option(help="A constant learning rate.")] = None,
    loss: Annotated[str | None, typer.Option(help="mse, nss, cc, kld, similarity, or a sum: kld=1,cc=0.2.")] = None,
    mirror: Annotated[
        Literal["both", "half", "none"] | None,
        typer.Option(help="Each image and its mirror image, a random half of them, or none mirrored."),
    ] = None,
    validate_every: Annotated[int | None, typer.Option(help="Epochs between validations.")] = None,
    keep: Annotated[
        Literal["last", "best"] | None, typer.Option(help="The last weights, or those that validated best.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of starting weights, order and mirroring. Default: 0.")] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Blur of fixations, pixels of the image. Default: 3 % of it.")
    ] = None,
    weights: opening.Weights = None,
    net_option: opening.NetOption = None,
    preset: Annotated[str | None, typer.Option(help="Short for --net-option preset=…, such as small.")] = None,
    variant: Annotated[str | None, typer.Option(help="Short for --net-option variant=….")] = None,
    batch_norm: Annotated[bool, typer.Option("--batch-norm", help="Short for --net-option batch_norm=True.")] = False,
    center_bias: Annotated[
        Literal["none", "fixed", "learned"], typer.Option(help="Multiply the maps by a centre Gaussian.")
    ] = "none",
    preprocessing: opening.Preprocessing = None,
    size: opening.Size = None,
    strategy: Strategy = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write event files for TensorBoard.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over and replace the run in the folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    unsafe: opening.Unsafe = False,
) -> None:
    """Train a gaze net, and keep weights, history and curves; started again, a stopped run goes on."""
    options = list(net_option or ())
    options += [f"{key}={value}" for key, value in (("preset", preset), ("variant", variant)) if value is not None]
    options += ["batch_norm=True"] if batch_norm else []
    changes = {
        "epochs": epochs,
        "batch_size": batch_size,
        "rate": rate,
        "loss": loss,
        "mirror": mirror,
        "validate_every": validate_every,
        "keep": keep,
        "seed": seed,
    }
    output = Path("runs") / Path(net).stem if output is None else output
    opening.options_of(options)  # a typing error is told before TensorFlow is loaded
    run = {"sigma": sigma, "strategy": strategy, "tensorboard": tensorboard, "resume": not fresh, "progress": not quiet}
    about = {
        "recipe": recipe,
        "model": net,
        "options": options,
        "weights": weights,
        "center_bias": center_bias,
        "data": [str(one) for one in data],
    }
    try:
        speaks = join_workers(strategy)
        run["progress"] &= speaks
        sets = _data(data, validation, split, seed or 0, speaks)  # a wrong path is told before anything is built
        result = _train(sets, changes, run, output, about, preprocessing, opening.size_of(size), unsafe, speaks)
    except KeyboardInterrupt as stopped:
        typer.echo(f"\n{str(stopped) or 'Stopped before the training began; nothing was changed.'}", err=True)
        raise typer.Exit(130) from None
    if speaks:
        _tell(result)


def _train(sets, changes: dict, run: dict, output: Path, about: dict, preprocessing, size, unsafe: bool, speaks: bool):
    from kerasal.cli.session import load_tensorflow, remark

    load_tensorflow()
    from kerasal import training
    from kerasal.training.gaze_files import files_of
    from kerasal.training.run_folder import DRAWN, identify_start

    import keras
    import tensorflow as tf

    chosen = training.recipe(about["recipe"], **changes)
    if tf.config.list_physical_devices("GPU"):  # on a CPU these operations are deterministic as they are
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(chosen.seed)
    net, convention, usual = _net(about, preprocessing, unsafe)
    if speaks:
        remark(
            f"{len(sets[0])} images to train on, {len(sets[1])} to validate on. Recipe {about['recipe']}: "
            f"{chosen.source}."
        )
    size = size or usual
    refuse_inputs((output / name for name in files_of(net.name).written), folders=False)
    given = Path(about["model"]).exists() or about["weights"] or has_weights(opening.options_of(about["options"]))
    start = identify_start(net.weights) if given else DRAWN
    return training.train_gaze(
        net, *sets, chosen, output, preprocessing=convention, size=size, about=about, start=start, **run
    )


def _net(about: dict, preprocessing: str | None, unsafe: bool):
    """Return the net that ``about`` describes, its preprocessing, and the size it is meant for where it takes any."""
    from kerasal.models import registry

    name, size = about["model"], None
    if Path(name).exists():
        opened = opening.open_net(name, preprocessing=preprocessing, unsafe=unsafe)
        net, convention = opened.net, opened.preprocessing
    else:
        net, spec = opening.create_net(name, about["weights"], about["options"]), registry.model_spec(name)
        convention = preprocessing or spec.preprocessing
        size = spec.input_shape[:2] if None in net.input_shape[1:3] else None
    if about["center_bias"] != "none":
        net = _with_center_bias(net, about["center_bias"] == "learned")
    return net, convention, size


def _data(data: list[Path], validation: Path | None, split: str | None, seed: int, speaks: bool):
    """Return what is trained and validated on."""
    from kerasal.cli.session import remark
    from kerasal.datasets import gaze_splits, open_gaze

    sets = [opening.open_data(one, split, ("train",)) for one in data]
    together = sets[0].joined(*sets[1:])
    if validation is not None:
        return together, opening.open_data(validation, None, ("val", "validation", "test"))
    own = [next((name for name in ("val", "validation") if name in gaze_splits(one)), None) for one in data]
    if all(own) and split is None:
        first, *others = [open_gaze(one, name) for one, name in zip(data, own, strict=True)]
        return together, first.joined(*others)
    if speaks:
        remark("Validation: a random tenth of these images, which is not trained on (--validation for others).")
    return together.split(0.9, seed)


def _with_center_bias(network, learned: bool):
    from kerasal.gaze.predictor import is_log_density
    from kerasal.layers import CenterBias

    import keras

    maps = network.outputs[0]
    if is_log_density(network):
        raise ValueError(
            "--center-bias multiplies maps, and this net gives log-densities. It may have a prior of its own; "
            "gaze has: --net-option center_prior=True."
        )
    if len(maps.shape) == 2:
        raise ValueError("--center-bias needs a net whose output is a map (N, H, W), not its pixels in a row.")
    return keras.Model(network.inputs, CenterBias(learned=learned)(maps), name=network.name)


def _tell(result) -> None:
    validated = result.history.dropna(subset="val_loss")
    best = validated.loc[validated["val_loss"].idxmin()]
    last = validated.iloc[-1]
    shown = best if result.recipe.keep == "best" else last
    for name, reason in result.skipped.items():
        typer.echo(f"Not trained on: {name}: {reason}", err=True)
    typer.echo(
        f"validation after epoch {int(shown['epoch'])}{' (kept: the best)' if result.recipe.keep == 'best' else ''}: "
        f"loss {shown['val_loss']:.5g}, MSE {shown['val_mse']:.5g}, CC {shown['val_cc']:.4f}"
    )
    names = sorted(path.name for path in result.output.iterdir() if not path.name.startswith("."))
    typer.echo(f"{len(result.history)} epochs, {len(result.steps)} steps. In {result.output}: {', '.join(names)}.")
    typer.echo(f"Next: kerasal gaze evaluate {result.output} --data …, or kerasal gaze predict {result.output} IMAGE…")
