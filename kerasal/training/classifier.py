"""Train a classifier: Adam on the cross-entropy, an epoch at a time, in a folder from which a stopped run goes on.

Epoch ``e`` draws its order of images and its dropout masks from ``(seed, e)``; with the weights and Adam's moments,
which the checkpoint holds, nothing else decides what comes next. That is why a resumed run is bit-equal to an
uninterrupted one (on one machine; on a GPU, after ``tf.config.experimental.enable_op_determinism()``).
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import preprocessing as conventions
from kerasal.checks import check_int, check_number
from kerasal.datasets.labeled_images import ClassImages
from kerasal.process import check_process
from kerasal.training import results, run_folder
from kerasal.training.classifier_run import Run, probabilities
from kerasal.training.memory import check_memory
from kerasal.training.replicas import Replicas
from kerasal.training.training_inputs import Augmentation, Inputs, Labeled, prepare_inputs

import keras

HISTORY, CURVES = run_folder.HISTORY, run_folder.CURVES
_SLOTS = 2  # arrays that Adam keeps for each weight


@dataclasses.dataclass(frozen=True)
class Training:
    """What ``train`` made: one row an epoch, the trained model, and the folder with the files.

    ``confusion`` counts the test images, a row for each true class and a column for each predicted one; None where the
    classes have no names.
    """

    history: pd.DataFrame
    model: keras.Model
    output: pathlib.Path
    confusion: pd.DataFrame | None = None


def train(
    model: keras.Model,
    train_data: Labeled | ClassImages,
    test_data: Labeled | ClassImages,
    output: str | os.PathLike,
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    preprocessing: str | conventions.Preprocessing | None = None,
    class_names: Sequence[str] | None = None,
    resume: bool = True,
    strategy: str | None = None,
    progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    start: str | None = None,
) -> Training:
    """Train ``model`` in place and write history.csv, curves.png, NAME.weights.h5 and NAME.keras into ``output``.

    Where the classes have names, also confusion.csv, confusion.png, labels.txt and run.json, by which the commands know
    the names and the preprocessing of NAME.keras.

    Args:
        model: a classifier whose outputs are probabilities (N, classes). Its present weights are the start of a new
            run; a run that goes on starts from its checkpoint.
        train_data: preprocessed float32 images (N, H, W, C) and integer labels (N,); or ``ClassImages``, which are read
            from their files a batch ahead where they do not fit into memory.
        test_data: the same; only measured, after every epoch. It chooses nothing.
        output: the folder of this run, made where it is missing.
        epochs: epochs in all, those of an earlier call included. A finished run may be given more.
        batch_size: images a step; the last batch of an epoch may be smaller.
        learning_rate: of Adam.
        seed: decides the order of the images, how they are augmented, and the dropout masks (not the starting weights:
            those are the model's).
        augmentation: random changes of the training images.
        preprocessing: how the model wants its pixels; needed with ``ClassImages``, else only written down.
        class_names: of the outputs; those of ``ClassImages`` by default.
        resume: go on from the checkpoint in ``output``; ``False`` starts over and replaces what lies there.
        strategy: ``"mirrored"`` splits every batch between the GPUs of this machine, ``"multi-worker"`` between the
            machines of TF_CONFIG too, see ``training.join_workers``. A run may go on with another one.
        progress: show a bar and one line an epoch on stderr.
        callbacks: Keras callbacks of ``model``, told when the training and each epoch begin and end (epochs from 0 on,
            as Keras counts; not of single batches). They act before an epoch is kept, so that a run that goes on has
            missed none; one that sets ``model.stop_training`` ends the run after that epoch. Of several workers, only
            the chief's are told.
        start: what the model's present weights are, ``training.run_folder.digest_start``: then a run that goes on must
            have begun from the same. By default they are not compared, and may be those of a model partly trained.

    Returns:
        A ``Training``, whose history has the columns epoch (from 1), loss and accuracy (means over the epoch, dropout
        on), test_loss, test_accuracy (dropout off, after the epoch), seconds.

    Raises:
        ValueError: unusable data or settings; another run's folder, or one in which a run is at work; a damaged
            checkpoint; a loss that is not finite; fewer images in a batch than devices; an output folder that the
            workers do not share.
        OSError: the folder cannot be written to. A ``ConnectionError``: a worker is gone.
        KeyboardInterrupt: stopped by Ctrl-C; its message says what is kept and how to go on.
    """
    check_process()
    for name, value, least in (("epochs", epochs, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        check_int(name, value, least)
    check_number("learning_rate", learning_rate, above=0, remedy="Try 0.001.")
    convention = None if preprocessing is None else conventions.get(preprocessing)
    training, test, names = _check_model_and_data(model, train_data, test_data, convention, class_names)
    replicas = Replicas(model, strategy)
    replicas.check_batch(batch_size)
    check_memory(model, batch_size, _SLOTS, model.weights, machines=replicas.team.size)
    output, team = pathlib.Path(output), replicas.team
    with team.explain_lost_workers(), run_folder.claim_folder(team, output):
        run = Run(replicas, learning_rate, batch_size, seed, augmentation, training, test)
        settings = {
            **run_folder.describe_model(model),
            "seed": seed,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "train_data": training.digest(),
            "test_data": test.digest(),
            "augmentation": dataclasses.asdict(augmentation) if augmentation else None,
        } | replicas.settings
        if start is not None:
            settings[run_folder.START] = start
        listeners = keras.callbacks.CallbackList(list(callbacks) if team.chief else [], model=model)
        model.stop_training = False
        listeners.on_train_begin()  # before an old run is replaced: what a callback refuses must cost nothing
        files = results.files(model.name)
        rows = run_folder.begin_run(team, output, files, settings, run.state, resume=resume, epochs=epochs)
        with replicas.show_progress(output, rows, epochs, run.steps, progress) as shown:
            if team.chief:
                results.write_history(output, rows)
            for epoch in range(len(rows) + 1, epochs + 1):
                listeners.on_epoch_begin(epoch - 1)
                row = run.epoch(epoch, shown)
                replicas.copy_weights_back()
                listeners.on_epoch_end(epoch - 1, dict(row))
                if team.chief:
                    run_folder.write_checkpoint(output / run_folder.CHECKPOINT, settings, [*rows, row], run.state)
                told = team.exchange({"seconds": row["seconds"], "stop": bool(model.stop_training)})[0]
                rows.append(row | {"seconds": told["seconds"]})  # counted once it is kept
                if team.chief:
                    results.write_history(output, rows)
                if told["stop"]:
                    break
            replicas.copy_weights_back()
            listeners.on_train_end()
            history = pd.DataFrame(rows)
            counts = None if names is None else run.confusion(names)
            if team.chief:
                results.write(output, model, history, counts, convention)
            team.exchange({})  # nobody leaves before all is written
    return Training(history, model, output, counts)


def accuracy(
    model: keras.Model,
    data: Labeled | ClassImages,
    preprocessing: str | conventions.Preprocessing | None = None,
) -> float:
    """Return the share of images whose top class is their label, dropout off; ``data`` as in ``train``."""
    convention = None if preprocessing is None else conventions.get(preprocessing)
    inputs = prepare_inputs(data, "given", model, convention)
    return float((probabilities(model, inputs).argmax(axis=1) == inputs.labels).mean())


def _check_model_and_data(
    model, train_data, test_data, convention, class_names
) -> tuple[Inputs, Inputs, list[str] | None]:
    if not model.built or not hasattr(model, "output_shape"):
        raise ValueError(f"{model.name} must be a built functional or Sequential model, whose shapes are known.")
    if isinstance(model.output_shape, list) or len(model.output_shape) != 2 or isinstance(model.input_shape, list):
        raise ValueError(
            "A classifier with one input and one output (N, classes) is expected. Received: inputs "
            f"{model.input_shape}, outputs {model.output_shape}."
        )
    found = [getattr(data, "names", None) for data in (train_data, test_data)]
    if found[0] != found[1]:
        raise ValueError(f"Training and test images must have the same classes. Received: {found[0]} and {found[1]}.")
    names = found[0] if class_names is None else list(class_names)
    train_data, test_data = (
        prepare_inputs(data, what, model, convention) for data, what in ((train_data, "training"), (test_data, "test"))
    )
    if names is not None and len(names) != model.output_shape[-1]:
        raise ValueError(f"{model.name} has {model.output_shape[-1]} outputs. Received {len(names)} names of classes.")
    outputs = np.asarray(model(test_data.take(np.arange(1)), training=False))
    if outputs.min() < 0 or abs(outputs.sum() - 1) > 1e-3:
        raise ValueError(
            f"{model.name} must end in a softmax: its outputs are to be probabilities. Received outputs that sum to "
            f"{outputs.sum():.3g}, the smallest {outputs.min():.3g}."
        )
    return train_data, test_data, names
