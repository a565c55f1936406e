"""Train variants of a model in the same way and compare them: what does a layer, or its width, contribute?"""

import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from kerasal.training.classifier import accuracy, train
from kerasal.training.results import write_table
from kerasal.training.training_inputs import Labeled

import keras

TABLE = "ablation.csv"


def ablate(
    variants: Mapping[str, Callable[[], keras.Model]],
    train_data: Labeled,
    test_data: Labeled,
    output: str | os.PathLike,
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
    resume: bool = True,
    progress: bool = True,
) -> pd.DataFrame:
    """Train variants of a model on the same images in the same order; return a table with a row for each variant.

    Before each builder is called, Keras's global seed is set to ``seed``. The model is renamed like its variant and
    trained with ``kerasal.training.train`` in a subfolder of ``output``. After each variant, the table is written to
    ``output``/ablation.csv. If the run is stopped, the same call resumes it; variants that are added later are trained
    without repeating the others.

    Args:
        variants: functions that build a classifier, by name. The others are compared with the first.
        train_data: preprocessed float32 images (N, H, W, C) and integer labels (N,).
        test_data: the same; only evaluated.
        output: output folder.
        epochs: number of epochs per variant.
        batch_size: images per step.
        learning_rate: learning rate of Adam.
        seed: seed of the starting weights, the order of the images and the dropout.
        resume: whether to resume the runs in ``output``; ``False`` starts over.
        progress: whether to show a progress bar per variant.

    Returns:
        A table with the columns variant, parameters, train_error and test_error (shares of images after the last epoch,
        without dropout), change (test error minus that of the first variant) and seconds (of training).

    Raises:
        ValueError: no variants; names that result in empty or equal folder names; or an error of ``train``.
        KeyboardInterrupt: stopped by Ctrl-C; the message says how to resume.

    Source: Zeiler & Fergus 2014, section 5.1, table 3.
    """
    folders = _folders(variants)
    output = pathlib.Path(output)
    rows = []
    for name, build in variants.items():
        keras.utils.set_random_seed(seed)
        model = build()
        if not isinstance(model, keras.Model):
            raise ValueError(f"variants[{name!r}] must return a keras.Model, got {type(model).__name__}.")
        model.name = folders[name]  # Keras's automatic names are numbered, so that a resumed run would differ
        result = train(
            model,
            train_data,
            test_data,
            output / folders[name],
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            resume=resume,
            progress=progress,
        )
        errors = [1 - accuracy(model, data) for data in (train_data, test_data)]
        first = rows[0][3] if rows else errors[1]
        seconds: Any = result.history["seconds"].sum()
        rows.append((name, model.count_params(), *errors, errors[1] - first, float(seconds)))
        columns = ["variant", "parameters", "train_error", "test_error", "change", "seconds"]
        table = pd.DataFrame(rows, columns=columns)
        write_table(output / TABLE, table)
        del model, result
    return table


def _folders(variants: Mapping) -> dict[str, str]:
    if not isinstance(variants, Mapping) or not variants:
        raise ValueError(
            f"variants must be a non-empty mapping of names to functions that build a model, got {variants!r}."
        )
    unusable = [name for name, build in variants.items() if isinstance(build, keras.Model) or not callable(build)]
    if unusable:
        kind = type(variants[unusable[0]]).__name__
        raise TypeError(f"variants[{unusable[0]!r}] must be a function that builds a model, got {kind}.")
    folders = {name: re.sub(r"[^A-Za-z0-9]+", "-", str(name)).strip("-").lower() for name in variants}
    if not all(folders.values()) or len(set(folders.values())) < len(folders):
        raise ValueError(f"variants must have names that give different folder names, got {list(variants)}.")
    return folders
