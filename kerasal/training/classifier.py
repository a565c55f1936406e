"""Train a classifier: Adam on the cross-entropy, an epoch at a time, in a folder from which a stopped run goes on.

Epoch ``e`` draws its order of images and its dropout masks from ``(seed, e)``; with the weights and Adam's moments,
which the checkpoint holds, nothing else decides what comes next. That is why a resumed run is bit-equal to an
uninterrupted one (on one machine; on a GPU, after ``tf.config.experimental.enable_op_determinism()``).
"""

import dataclasses
import math
import os
import pathlib
import time
from collections.abc import Sequence

from kerasal import _keras  # noqa: F401

import keras  # isort: skip
import numpy as np
import pandas as pd

from kerasal.files import replacing
from kerasal.training import checkpoint, curves, folder
from kerasal.training.arrays import Labelled, checked
from kerasal.training.progress import Progress

HISTORY, CURVES = folder.HISTORY, folder.CURVES
_EVALUATION_BATCH = 1000


@dataclasses.dataclass(frozen=True)
class Training:
    """What ``train`` made: one row an epoch, the trained model, and the folder with the files."""

    history: pd.DataFrame
    model: keras.Model
    output: pathlib.Path


def train(
    model: keras.Model,
    train_data: Labelled,
    test_data: Labelled,
    output: str | os.PathLike,
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Training:
    """Train ``model`` in place and write history.csv, curves.png, NAME.weights.h5 and NAME.keras into ``output``.

    Args:
        model: a classifier whose outputs are probabilities (N, classes). Its present weights are the start of a new
            run; a run that goes on starts from its checkpoint.
        train_data: preprocessed float32 images (N, H, W, C) and integer labels (N,).
        test_data: the same; only measured, after every epoch. It chooses nothing.
        output: the folder of this run, made where it is missing.
        epochs: epochs in all, those of an earlier call included. A finished run may be given more.
        batch_size: images a step; the last batch of an epoch may be smaller.
        learning_rate: of Adam.
        seed: decides the order of the images and the dropout masks (not the starting weights: those are the model's).
        resume: go on from the checkpoint in ``output``; ``False`` starts over and replaces what lies there.
        progress: show a bar and one line an epoch on stderr.
        callbacks: Keras callbacks of ``model``, told when the training and each epoch begin and end (epochs from 0 on,
            as Keras counts; not of single batches). They act before an epoch is kept, so that a run that goes on has
            missed none; one that sets ``model.stop_training`` ends the run after that epoch.

    Returns:
        A ``Training``, whose history has the columns epoch (from 1), loss and accuracy (means over the epoch, dropout
        on), test_loss, test_accuracy (dropout off, after the epoch), seconds.

    Raises:
        ValueError: unusable data or settings; another run's folder; a damaged checkpoint; a loss that is not finite.
        OSError: the folder cannot be written to.
        KeyboardInterrupt: stopped by Ctrl-C; its message says what is kept and how to go on.
    """
    _check_settings(epochs, batch_size, learning_rate, seed)
    train_data, test_data = _check_model_and_data(model, train_data, test_data)
    # A wrapper is compiled, not the caller's model, which thereby keeps its own optimizer, or none.
    trainer = keras.Sequential([keras.Input(model.input_shape[1:]), model])
    optimizer = keras.optimizers.Adam(learning_rate)
    trainer.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    optimizer.build(trainer.trainable_variables)
    settings = {
        "model": f"{model.name} with {model.count_params():,} parameters",
        "seed": seed,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "train_data": checkpoint.fingerprint(*train_data),
        "test_data": checkpoint.fingerprint(*test_data),
    }
    state = {"model": model.weights, "optimizer": optimizer.variables}
    output = pathlib.Path(output)
    listeners = keras.callbacks.CallbackList(list(callbacks), model=model)
    model.stop_training = False
    listeners.on_train_begin()  # before an old run is replaced: what a callback refuses must cost nothing
    files = (HISTORY, CURVES, *_model_files(model.name))
    rows = folder.begin(output, files, settings, state, resume=resume, epochs=epochs)
    with (
        Progress(progress, epochs, math.ceil(len(train_data[0]) / batch_size)) as shown,
        folder.explained(output, rows, epochs),
    ):
        _write_history(output, rows)
        for epoch in range(len(rows) + 1, epochs + 1):
            listeners.on_epoch_begin(epoch - 1)
            row = _epoch(trainer, train_data, test_data, batch_size, seed, epoch, shown)
            listeners.on_epoch_end(epoch - 1, dict(row))
            checkpoint.write(output / folder.CHECKPOINT, settings, [*rows, row], state)
            rows.append(row)  # counted once it is kept
            _write_history(output, rows)
            if model.stop_training:
                break
        listeners.on_train_end()
        history = pd.DataFrame(rows)
        _write_results(output, model, history)
    return Training(history, model, output)


def accuracy(model: keras.Model, data: Labelled) -> float:
    """Return the share of images whose top class is their label, dropout off; ``data`` as in ``train``."""
    images, labels = checked(data, "given", model.input_shape[1:], model.output_shape[-1])
    top = model.predict(images, batch_size=_EVALUATION_BATCH, verbose=0).argmax(axis=1)
    return float((top == labels).mean())


def _check_settings(epochs, batch_size, learning_rate, seed) -> None:
    for name, value, least in (("epochs", epochs, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} is a whole number from {least} on. Received: {value!r}.")
    if not isinstance(learning_rate, (int, float)) or not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate is a number above 0, such as 0.001. Received: {learning_rate!r}.")


def _check_model_and_data(model, train_data, test_data) -> tuple[Labelled, Labelled]:
    if not model.built or not hasattr(model, "output_shape"):
        raise ValueError(f"{model.name} must be a built functional or Sequential model, whose shapes are known.")
    if isinstance(model.output_shape, list) or len(model.output_shape) != 2 or isinstance(model.input_shape, list):
        raise ValueError(
            "A classifier with one input and one output (N, classes) is expected. Received: inputs "
            f"{model.input_shape}, outputs {model.output_shape}."
        )
    train_data, test_data = (
        checked(data, what, model.input_shape[1:], model.output_shape[-1])
        for data, what in ((train_data, "training"), (test_data, "test"))
    )
    outputs = np.asarray(model(test_data[0][:1], training=False))
    if outputs.min() < 0 or abs(outputs.sum() - 1) > 1e-3:
        raise ValueError(
            f"{model.name} must end in a softmax: its outputs are to be probabilities. Received outputs that sum to "
            f"{outputs.sum():.3g}, the smallest {outputs.min():.3g}."
        )
    return train_data, test_data


def _epoch(trainer, train_data, test_data, batch_size: int, seed: int, epoch: int, shown: Progress) -> dict:
    """Run one epoch and return its row of the history."""
    started = time.perf_counter()
    images, labels = train_data
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(images))
    folder.seed_dropout(trainer, random)
    totals = np.zeros(2)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        values = trainer.train_on_batch(images[batch], labels[batch], return_dict=True)
        totals += len(batch) * float(values["loss"]), round(len(batch) * float(values["accuracy"]))
        loss, correct = totals / (start + len(batch))
        if not math.isfinite(loss):
            raise ValueError(f"The loss is {loss} in epoch {epoch}. Start over with a smaller learning rate.")
        shown.step(epoch, loss, correct)
    test = trainer.evaluate(*test_data, batch_size=_EVALUATION_BATCH, verbose=0, return_dict=True)
    row = {
        "epoch": epoch,
        "loss": float(loss),
        "accuracy": float(correct),
        "test_loss": float(test["loss"]),
        "test_accuracy": round(len(test_data[0]) * float(test["accuracy"]))
        / len(test_data[0]),  # Keras says it in float32
        "seconds": round(time.perf_counter() - started, 2),
    }
    shown.row(row)
    return row


def _write_history(output: pathlib.Path, rows: list[dict]) -> None:
    with replacing(output / HISTORY) as temporary:
        columns = ["epoch", "loss", "accuracy", "test_loss", "test_accuracy", "seconds"]
        pd.DataFrame(rows, columns=columns).to_csv(temporary, index=False)


def _model_files(name: str) -> tuple[str, str]:
    return f"{name}.weights.h5", f"{name}.keras"


def _write_results(output: pathlib.Path, model: keras.Model, history: pd.DataFrame) -> None:
    weights, whole = _model_files(model.name)
    with replacing(output / CURVES) as temporary:
        last = history.iloc[-1]
        curves.draw(history, f"{model.name}: test accuracy {last['test_accuracy']:.4f}").savefig(temporary)
    with replacing(output / weights) as temporary:
        model.save_weights(temporary)
    with replacing(output / whole) as temporary:
        model.save(temporary)
