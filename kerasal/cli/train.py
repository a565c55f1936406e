"""``kerasal train``: training of a classifier on MNIST or on folders of photos, a folder for each class."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option, echo

from kerasal.cli import completion, options
from kerasal.cli.flags import Formerly, Sets
from kerasal.cli.session import command_line, exit_when_stopped, join_workers, load_tensorflow, remark

_MOST_LISTED = 5


def train(
    model: Annotated[
        str,
        Argument(
            help="A classifier of the zoo, such as mnist_cnn or five_class_cnn, or a .keras file.",
            autocompletion=completion.models,
        ),
    ],
    data: Annotated[
        Path | None,
        Option(
            help="A folder that contains a folder of images for each class, or folders train and val with such "
            "folders; or MNIST: mnist.npz, or a folder with it or with the four IDX files; or known_parts, rendered "
            "images of which known parts decide the class, with options as in known_parts:causes=2,train=2000. Default "
            "for mnist_cnn: a download of MNIST (11 MB)."
        ),
    ] = None,
    output: Annotated[Path | None, options.Output(help="The folder of the run. Default: runs/MODEL.")] = None,
    epochs: Annotated[int | None, Option(help="Total number of epochs. Default: the recipe's, or 10.")] = None,
    batch_size: Annotated[int | None, Option(help="Number of images per step. Default: the recipe's, or 32.")] = None,
    learning_rate: Annotated[
        float | None, Option(help="Learning rate of Adam, constant. Default: the recipe's, or 0.0001.")
    ] = None,
    seed: Annotated[
        int | None,
        Option(
            help="Seed of the initial weights, split, order, augmentation and dropout. Default: the recipe's, or 0."
        ),
    ] = None,
    class_: Annotated[
        list[str] | None,
        options.ClassOption(
            help="Train on these class folders only, in this order: goldfish,lemon; or repeated, with one name each."
        ),
        Formerly("--classes"),
        Sets("classes"),
    ] = None,
    test_share: Annotated[
        float, Option(help="Share of each class to test on, if the data have no part val or test.")
    ] = 0.2,
    fit: options.Fit = "crop",
    shift: Annotated[float, Option(help="Augmentation: shift by up to this share of the sides, such as 0.1.")] = 0.0,
    zoom: Annotated[
        float,
        Option(help="Augmentation: enlarge or shrink by up to this share, such as 0.1."),
        Formerly("--scale"),
        Sets("scale"),
    ] = 0.0,
    flip: Annotated[
        bool,
        Option(
            "--flip",
            help="Augmentation: mirror a random half of the images. Do not use it if this changes the class (digits).",
        ),
    ] = False,
    weights: Annotated[
        str | None,
        Option(help="Weights of a zoo model to start from: a name such as 'imagenet', or a file. Default: random."),
    ] = None,
    model_option: options.ModelOption = None,
    preprocessing: options.Preprocessing = None,
    evolution: Annotated[
        Path | None,
        Option(
            help="At epochs 1, 2, 5, 10, …, also store in this folder which patches activate features most, and draw "
            "them."
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        options.Features(
            help="Channels for --evolution, as LAYER:0-7; repeatable. Default: the first 8 of each convolution."
        ),
    ] = None,
    strategy: options.Strategy = None,
    fresh: options.Fresh = False,
    quiet: options.Quiet = False,
    unsafe: options.Unsafe = False,
) -> None:
    """Train a classifier; write weights, history and curves. The same command continues a stopped run.

    For example: kerasal train five_class_cnn --data PHOTOS, where PHOTOS/goldfish/1.jpg is a goldfish. Every command
    with a MODEL argument accepts the folder of the run, which stores class names and preprocessing.
    """
    if features and evolution is None:
        raise BadParameter("--features can only be used with --evolution.")
    if seed is not None and not 0 <= seed < 2**32:
        raise BadParameter(f"--seed must be an integer in 0..{2**32 - 1}, got {seed}.")
    changes = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    watched = [options.read_layer_channels(text) for text in features or ()]
    zoo_options = options.read_options(model_option)
    output = Path("runs") / Path(model).stem if output is None else output
    with exit_when_stopped():
        is_chief = join_workers(strategy)
        progress = not quiet and is_chief
        data = _render_known_parts(data, output, progress)
        load_tensorflow()
        from kerasal import training

        setup = training.prepare_training(
            model,
            data,
            classes=_read_classes(class_),
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
        if is_chief:
            _report_images(setup, progress)
        callbacks = []
        if evolution is not None and is_chief:
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
            augmentation=training.Augmentation(shift=shift, scale=zoom, flip=flip) or None,
            preprocessing=setup.preprocessing,
            class_names=setup.names,
            strategy=strategy,
            resume=not fresh,
            progress=progress,
            callbacks=callbacks,
            start=setup.start,
            about=setup.about | ({"command": command} if (command := command_line.get()) else {}),
        )
        if is_chief:
            setup.write_skipped(output)
            _report(setup, model, output, len(result.history), evolution)


def _render_known_parts(data: Path | None, output: Path, progress: bool) -> Path | None:
    """Return the data; ``known_parts`` and its options are rendered as class folders in the folder of the run."""
    from kerasal.datasets import known_folders

    if data is None or not known_folders.is_known_parts(str(data)):
        return data
    try:
        options = known_folders.read_known_parts(str(data))
        return known_folders.write_known_parts(output / known_folders.NAME, **options, progress=progress)
    except (TypeError, ValueError) as error:
        raise BadParameter(f"--data {data}: {error}") from error


def _read_classes(texts: list[str] | None) -> list[str] | None:
    """Return class names: a single text is split at commas; repeated texts are whole names, which may have commas."""
    if not texts or len(texts) > 1:
        return texts or None
    return [name.strip() for name in texts[0].split(",")]


def _check_outputs(setup, output: Path, evolution: Path | None) -> None:
    """Raise an error if the run would replace an image that it reads or the model from which it starts."""
    from kerasal.training import results

    written = [output / name for name in results.files(setup.model.name)]
    written += [] if evolution is None else [evolution / "evolution.png"]
    read = [file for part in (setup.train, setup.test) for file in getattr(part, "files", ())]
    options.refuse_inputs(written, read=read, folders=False)


def _report_images(setup, progress: bool) -> None:
    """Print the number of images, and the skipped files."""
    from kerasal.datasets.labeled_images import NO_IMAGE

    if skipped := setup.skipped:
        damaged = {file: reason for file, reason in skipped.items() if reason != NO_IMAGE}
        first = list({**damaged, **skipped}.items())[:_MOST_LISTED]
        listed = "; ".join(f"{file} ({reason})" for file, reason in first)
        count = len(skipped) - len(first)
        more = f"; and {count} more, all in skipped.csv of the run" if count else ""
        remark(f"{len(skipped)} files were skipped, {len(damaged)} of them damaged: {listed}{more}.")
    if progress and setup.from_folders:
        total = f"{len(setup.train):,} images to train on, {len(setup.test):,} to test on"
        remark(f"{total}, of {len(setup.names)} classes.")


def _report(setup, source: str, output: Path, epochs: int, evolution: Path | None) -> None:
    """Print the accuracies, the written files and the next command."""
    from kerasal import training

    name = setup.model.name
    for what, part in (("train accuracy", setup.train), ("test accuracy ", setup.test)):
        share = training.accuracy(setup.model, part, setup.preprocessing)
        count = len(part) if setup.from_folders else len(part[1])
        echo(f"{what} {share:.4f}  ({count:,} images{', dropout off' * (part is setup.train)})")
    trained = f"{epochs} epoch{'s' * (epochs != 1)}, seed {setup.recipe['seed']}"
    files = f"{name}.weights.h5", f"{name}.keras", "history.csv", "curves.png", "confusion.png", "checkpoint.npz"
    echo(f"{trained}. In {output}: {', '.join(files)}.")
    if evolution is not None:
        echo(f"The development of its features: {evolution / 'evolution.png'}.")
    following = f'kerasal.create_model("{source}", weights="{output / f"{name}.weights.h5"}")'
    if setup.from_folders:
        first = setup.names[0] if " " not in setup.names[0] else f'"{setup.names[0]}"'
        following = f"kerasal attribute gradcam {output} PHOTO -c {first}"
    echo(f"Next: {following}, or --epochs to train longer.")
