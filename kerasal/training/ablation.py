"""Train variants of a net alike and compare them: what is a layer, or its width, worth?"""

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
    """Train every variant on the same images in the same order, and return a row for each.

    Before each builder is called, Keras's global seed is set to ``seed``, and the model it returns is named like the
    variant. Each trains with ``kerasal.training.train`` in a folder of its own; after each, the table is written to
    ``output``/ablation.csv. A run that was stopped goes on where it was; a variant added later is trained alone.

    Args:
        variants: builders of classifiers by name. The first one is what the others are compared with.
        train_data: preprocessed float32 images (N, H, W, C) and integer labels (N,).
        test_data: the same; only measured.
        output: the folder.
        epochs: of each.
        batch_size: images a step.
        learning_rate: of Adam.
        seed: of the starting weights, the order of the images and the dropout.
        resume: go on with what lies in ``output``; ``False`` starts over.
        progress: show a bar for each.

    Returns:
        ``variant``, ``parameters``, ``train_error`` and ``test_error`` after the last epoch (shares of images, dropout
        off), ``change``, the test error minus that of the first, and ``seconds`` of training.

    Raises:
        ValueError: no variants, names that make no folders or the same one, or what ``train`` refuses.
        KeyboardInterrupt: stopped; what is kept is said.

    Source: Zeiler & Fergus 2014, section 5.1, table 3.
    """
    folders = _folders(variants)
    output = pathlib.Path(output)
    rows = []
    for name, build in variants.items():
        keras.utils.set_random_seed(seed)
        model = build()
        if not isinstance(model, keras.Model):
            raise ValueError(f"Variant {name!r} builds {type(model).__name__}; expected a keras.Model.")
        model.name = folders[name]  # what Keras makes up counts on, and the run would not be known again
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
        raise ValueError("variants maps names to functions that build a model, one at least. Received none.")
    built = [name for name, build in variants.items() if isinstance(build, keras.Model) or not callable(build)]
    if built:
        kind = type(variants[built[0]]).__name__
        raise TypeError(f"Variant {built[0]!r} is a {kind}; give a function that builds a model.")
    folders = {name: re.sub(r"[^A-Za-z0-9]+", "-", str(name)).strip("-").lower() for name in variants}
    if not all(folders.values()) or len(set(folders.values())) < len(folders):
        raise ValueError(f"The names of variants must make different folders. Received: {list(variants)}.")
    return folders
