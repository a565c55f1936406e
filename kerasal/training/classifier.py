"""Train a classifier with Adam on the cross-entropy, in an output folder from which a stopped run is resumed.

The order of the images and the dropout masks of epoch ``e`` depend only on ``(seed, e)``, and the checkpoint holds the
weights and Adam's moments. A resumed run is therefore bit-equal to an uninterrupted run (on the same machine; on a GPU,
after ``tf.config.experimental.enable_op_determinism()``).
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

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
from kerasal.training.run_record import RunRecord, describe_architecture, describe_call
from kerasal.training.training_inputs import Augmentation, Inputs, Labeled, describe_data, prepare_inputs

import keras

HISTORY, CURVES = run_folder.HISTORY, run_folder.CURVES
_SLOTS = 2  # arrays that Adam keeps per weight


@dataclasses.dataclass(frozen=True)
class Training:
    """The result of ``train``.

    Attributes:
        history: one row per epoch.
        model: the trained model.
        output: the output folder.
        confusion: number of test images by true class (rows) and predicted class (columns); ``None`` if the classes
            have no names.
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
    about: Mapping[str, Any] | None = None,
) -> Training:
    """Train a classifier in place and write its history, curves, weights and model to the output folder.

    The files are history.csv, curves.png, NAME.weights.h5, NAME.keras and run.json, which has every setting, the data
    and their split, the versions, the machine, the command and the times. If the classes have names, confusion.csv,
    confusion.png and labels.txt are written too. From run.json the commands read the class names and the preprocessing
    of NAME.keras.

    Args:
        model: a classifier whose outputs are probabilities (N, classes). A new run starts from its weights; a resumed
            run, from those of the checkpoint.
        train_data: preprocessed float32 images (N, H, W, C) and integer labels (N,); or ``ClassImages``, whose batches
            are read from the files in advance if they do not fit into memory.
        test_data: the same. Evaluated after every epoch; does not influence the training.
        output: output folder of the run; created if it does not exist.
        epochs: total number of epochs, including those of an earlier call. A finished run can be continued with more.
        batch_size: images per step; the last batch of an epoch may be smaller.
        learning_rate: learning rate of Adam, above 0.
        seed: seed of the order of the images, their augmentation and the dropout masks. It does not affect the starting
            weights, which are the model's.
        augmentation: random changes of the training images.
        preprocessing: the model's pixel convention. Required with ``ClassImages``; with arrays it is only recorded in
            run.json.
        class_names: names of the outputs; by default those of ``ClassImages``.
        resume: whether to resume from the checkpoint in ``output``; ``False`` starts over and replaces the files there.
        strategy: ``"mirrored"`` splits every batch between the GPUs of this machine; ``"multi-worker"``, also between
            the machines of TF_CONFIG (see ``training.join_workers``). It may differ when a run is resumed.
        progress: whether to show a progress bar and a line per epoch on stderr.
        callbacks: Keras callbacks of ``model``. They are called at the beginning and end of the training and of every
            epoch (numbered from 0, as in Keras), but not for batches. They are called before an epoch is saved, so that
            they see every epoch also in a resumed run. A callback that sets ``model.stop_training`` ends the run after
            the epoch. With several workers, only the chief calls them.
        start: description of the model's weights, from ``training.run_folder.digest_start``. A run can then only be
            resumed with the same starting weights. By default the starting weights are not compared.
        about: facts that are added to run.json, such as ``TrainingSetup.about``.

    Returns:
        A ``Training``, whose history has the columns epoch (from 1), loss and accuracy (means over the epoch, with
        dropout), test_loss and test_accuracy (after the epoch, without dropout), and seconds.

    Raises:
        ValueError: unusable data or settings; a folder of another run, or a folder in use; a damaged
            checkpoint; a loss that is not finite; fewer images per batch than devices; an output folder that the
            workers do not share.
        OSError: the folder cannot be written to.
        ConnectionError: a worker was lost.
        KeyboardInterrupt: stopped by Ctrl-C; the message says how to resume.
    """
    check_process()
    for name, value, minimum in (("epochs", epochs, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        check_int(name, value, minimum)
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
        listeners.on_train_begin()  # may raise, so it is called before the files of an old run are deleted
        files = results.files(model.name)
        rows = run_folder.begin_run(team, output, files, settings, run.state, resume=resume, epochs=epochs)
        options = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
        options |= {"augmentation": augmentation, "preprocessing": preprocessing, "strategy": strategy}
        call = describe_call("kerasal.training.train", (model, train_data, test_data, output), options)
        facts = {
            "task": "classification",
            "model_file": results.model_files(model.name)[1],
            **({} if names is None else {"labels": names}),
            **({} if convention is None else {"preprocessing": convention.name}),
            "architecture": describe_architecture(model, settings),
            "start": settings.get(run_folder.START),  # only the chief knows it
            "training": run.settings(epochs),
            **describe_data(train_data, test_data, training, test, settings),
            **(about or {}),
        }
        record = RunRecord(output, facts, facts.pop("command", call), replicas)
        with (
            record.session(rows, epochs),
            replicas.show_progress(output, rows, epochs, run.steps, progress) as progress_bar,
        ):
            if team.chief:
                results.write_history(output, rows)
            for epoch in range(len(rows) + 1, epochs + 1):
                listeners.on_epoch_begin(epoch - 1)
                row = run.epoch(epoch, progress_bar)
                replicas.copy_weights_back()
                listeners.on_epoch_end(epoch - 1, dict(row))
                if team.chief:
                    run_folder.write_checkpoint(output / run_folder.CHECKPOINT, settings, [*rows, row], run.state)
                chief = team.exchange({"seconds": row["seconds"], "stop": bool(model.stop_training)})[0]
                rows.append(row | {"seconds": chief["seconds"]})  # after the checkpoint, which then has this row
                if team.chief:
                    results.write_history(output, rows)
                if chief["stop"]:
                    break
            replicas.copy_weights_back()
            listeners.on_train_end()
            history = pd.DataFrame(rows)
            counts = None if names is None else run.confusion(names)
            if team.chief:
                results.write_results(output, model, history, counts)
            team.exchange({})  # all processes wait until the files are written
    return Training(history, model, output, counts)


def accuracy(
    model: keras.Model,
    data: Labeled | ClassImages,
    preprocessing: str | conventions.Preprocessing | None = None,
) -> float:
    """Return the share of images whose top class is their label, without dropout; ``data`` is as in ``train``."""
    convention = None if preprocessing is None else conventions.get(preprocessing)
    inputs = prepare_inputs(data, "evaluated", model, convention)
    return float((probabilities(model, inputs).argmax(axis=1) == inputs.labels).mean())


def _check_model_and_data(
    model, train_data, test_data, convention, class_names
) -> tuple[Inputs, Inputs, list[str] | None]:
    if not model.built or not hasattr(model, "output_shape"):
        raise ValueError(f"model must be a built functional or Sequential model, got {model.name} of unknown shapes.")
    if isinstance(model.output_shape, list) or len(model.output_shape) != 2 or isinstance(model.input_shape, list):
        raise ValueError(
            "model must be a classifier with a single input and a single output (N, classes), got inputs "
            f"{model.input_shape} and outputs {model.output_shape}."
        )
    train_names, test_names = (getattr(data, "names", None) for data in (train_data, test_data))
    if train_names != test_names:
        raise ValueError(f"train_data and test_data must have the same classes, got {train_names} and {test_names}.")
    names = train_names if class_names is None else list(class_names)
    train_data, test_data = (
        prepare_inputs(data, what, model, convention) for data, what in ((train_data, "training"), (test_data, "test"))
    )
    if names is not None and len(names) != model.output_shape[-1]:
        raise ValueError(
            f"class_names must have a name for each of the {model.output_shape[-1]} outputs of {model.name}, got "
            f"{len(names)} names."
        )
    outputs = np.asarray(model(test_data.take(np.arange(1)), training=False))
    if outputs.min() < 0 or abs(outputs.sum() - 1) > 1e-3:
        raise ValueError(
            f"model must have a softmax output, got outputs of {model.name} that sum to {outputs.sum():.3g}, with a "
            f"minimum of {outputs.min():.3g}."
        )
    return train_data, test_data, names
