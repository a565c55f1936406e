"""``kerasal train``: train a classifier, on MNIST or on folders of photographs, one a class."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option, echo

from kerasal.cli import options
from kerasal.cli.session import exit_when_stopped, join_workers, load_tensorflow, remark

_NAMED = 5


def train(
    model: Annotated[
        str, Argument(help="A classifier of the zoo, such as mnist_cnn or five_class_cnn, or a .keras file.")
    ],
    data: Annotated[
        Path | None,
        Option(
            help="A folder with a folder of images for each class (or parts train and val with these), or MNIST: "
            "mnist.npz, or a folder with it or with the four IDX files. Default, for mnist_cnn: download (11 MB)."
        ),
    ] = None,
    output: Annotated[Path | None, options.Output(help="The folder of this run. Default: runs/MODEL.")] = None,
    epochs: Annotated[int | None, Option(help="Epochs in all. Default: the recipe's, or 10.")] = None,
    batch_size: Annotated[int | None, Option(help="Images a step. Default: the recipe's, or 32.")] = None,
    learning_rate: Annotated[float | None, Option(help="Of Adam. Default: the recipe's, or .0001.")] = None,
    seed: Annotated[
        int | None,
        Option(help="Decides starting weights, split, order, augmentation and dropout. Default: the recipe's, or 0."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        Option(help="The only class folders to use, in this order: goldfish,lemon; or once for each, whole."),
    ] = None,
    test_share: Annotated[
        float, Option(help="Share of each class to test on, where the folder has no part for it.")
    ] = 0.2,
    fit: options.Fit = "crop",
    shift: Annotated[float, Option(help="Augment: shift by up to this share of the sides, such as .1.")] = 0.0,
    scale: Annotated[float, Option(help="Augment: enlarge or shrink by up to this share, such as .1.")] = 0.0,
    flip: Annotated[
        bool, Option("--flip", help="Augment: mirror a random half. Not for digits, letters, left and right.")
    ] = False,
    weights: Annotated[
        str | None, Option(help="Weights of a zoo model to start from: a name or a file. Default: random.")
    ] = None,
    net_option: options.NetOption = None,
    preprocessing: options.Preprocessing = None,
    evolution: Annotated[
        Path | None, Option(help="Also store there, at epochs 1, 2, 5, 10, …, what excites features most, and draw it.")
    ] = None,
    features: Annotated[
        list[str] | None,
        Option(help="For --evolution, as LAYER:0-7; may be repeated. Default: the first 8 of each convolution."),
    ] = None,
    strategy: options.Strategy = None,
    fresh: options.Fresh = False,
    quiet: options.Quiet = False,
    unsafe: options.Unsafe = False,
) -> None:
    """Train a classifier and keep weights, history and curves; started again, a stopped run goes on.

    For example: kerasal train five_class_cnn --data PHOTOS, where PHOTOS/goldfish/1.jpg is a goldfish. The commands
    that look into a model take the folder of the run, and know its classes and pixels.
    """
    if features and evolution is None:
        raise BadParameter("--features goes with --evolution FOLDER")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"--seed is a whole number in 0..{2**32 - 1}. Received: {seed}.")
    changes = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    watched = [options.layer_channels(text) for text in features or ()]
    zoo_options = options.options_of(net_option)
    output = Path("runs") / Path(model).stem if output is None else output
    with exit_when_stopped():
        speaks = join_workers(strategy)
        progress = not quiet and speaks
        load_tensorflow()
        from kerasal import training

        setup = training.prepare_training(
            model,
            data,
            classes=_listed(classes),
            test_share=test_share,
            fit=fit,
            recipe={name: value for name, value in changes.items() if value is not None},
            weights=weights,
            options=zoo_options,
            preprocessing=preprocessing,
            unsafe=unsafe,
            progress=progress,
        )
        _check_outputs(setup, output, evolution)
        if speaks:
            _report_images(setup, progress)
        callbacks = []
        if evolution is not None and speaks:
            inputs, pixels = setup.sample_inputs(1000), setup.preprocessing
            watcher = training.watch_features(
                setup.model, inputs, evolution, watched, preprocessing=pixels, overwrite=fresh
            )
            callbacks.append(watcher)
        result = training.train(
            setup.model,
            setup.train,
            setup.test,
            output,
            **setup.recipe,
            augmentation=training.Augmentation(shift=shift, scale=scale, flip=flip) or None,
            preprocessing=setup.preprocessing,
            class_names=setup.names,
            strategy=strategy,
            resume=not fresh,
            progress=progress,
            callbacks=callbacks,
            start=setup.start,
        )
        if speaks:
            setup.write_skipped(output)
            _report(setup, model, output, len(result.history), evolution)


def _listed(classes: list[str] | None) -> list[str] | None:
    """Read names that are separated by commas; given several times each is one name, which may hold commas."""
    if not classes or len(classes) > 1:
        return classes or None
    return [name.strip() for name in classes[0].split(",")]


def _check_outputs(setup, output: Path, evolution: Path | None) -> None:
    """Refuse a run that would replace an image that it reads, or the model that it starts from."""
    from kerasal.training import results

    written = [output / name for name in results.files(setup.model.name)]
    written += [] if evolution is None else [evolution / "evolution.png"]
    read = [file for part in (setup.train, setup.test) for file in getattr(part, "files", ())]
    options.refuse_inputs(written, read=read, folders=False)


def _report_images(setup, progress: bool) -> None:
    """Say how many images there are, and which files are skipped."""
    from kerasal.datasets.labeled_images import NO_IMAGE

    if skipped := setup.skipped:
        damaged = {file: reason for file, reason in skipped.items() if reason != NO_IMAGE}
        shown = "; ".join(f"{file} ({reason})" for file, reason in list({**damaged, **skipped}.items())[:_NAMED])
        more = "" if len(skipped) <= _NAMED else f"; and {len(skipped) - _NAMED} more, all in skipped.csv of the run"
        remark(f"{len(skipped)} files are left out, {len(damaged)} of them damaged: {shown}{more}.")
    if progress and setup.from_folders:
        total = f"{len(setup.train):,} images to train on, {len(setup.test):,} to test on"
        remark(f"{total}, of {len(setup.names)} classes.")


def _report(setup, source: str, output: Path, epochs: int, evolution: Path | None) -> None:
    """Say how good the model is, what was written, and what to do next."""
    from kerasal import training

    name = setup.model.name
    for what, part in (("train accuracy", setup.train), ("test accuracy ", setup.test)):
        share = training.accuracy(setup.model, part, setup.preprocessing)
        count = len(part) if setup.from_folders else len(part[1])
        echo(f"{what} {share:.4f}  ({count:,} images{', dropout off' * (part is setup.train)})")
    ran = f"{epochs} epoch{'s' * (epochs != 1)}, seed {setup.recipe['seed']}"
    files = f"{name}.weights.h5", f"{name}.keras", "history.csv", "curves.png", "confusion.png", "checkpoint.npz"
    echo(f"{ran}. In {output}: {', '.join(files)}.")
    if evolution is not None:
        echo(f"How its features came about: {evolution / 'evolution.png'}.")
    following = f'kerasal.create_model("{source}", weights="{output / f"{name}.weights.h5"}")'
    if setup.from_folders:
        first = setup.names[0] if " " not in setup.names[0] else f'"{setup.names[0]}"'
        following = f"kerasal attribute gradcam {output} PHOTO -c {first}"
    echo(f"Next: {following}, or --epochs to train longer.")
