"""Train a gaze predictor by a recipe, in a folder from which a stopped or killed run goes on to the same result.

Epoch ``e`` draws its order and its mirror images from ``(seed, e)``, and rates follow from the epoch; with the weights
and the optimizer's state, which the checkpoint holds, nothing else decides what comes next. So a resumed run is
bit-equal to an uninterrupted one (on a GPU, after ``tf.config.experimental.enable_op_determinism()``).
"""

import dataclasses
import json
import math
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from kerasal import _keras  # noqa: F401

import keras  # isort: skip
import numpy as np
import pandas as pd

from kerasal import preprocessing as conventions
from kerasal.files import replacing
from kerasal.gaze.maps import image_size, map_size
from kerasal.training import checkpoint, folder
from kerasal.training.distributing import Replicas
from kerasal.training.gaze_files import RUN, Journal, files_of
from kerasal.training.memory import check_memory
from kerasal.training.progress import Progress
from kerasal.training.recipes import Recipe, recipe
from kerasal.training.samples import Samples, batches, epoch_order, samples_of
from kerasal.training.sgd import TorchSGD
from kerasal.training.stepping import Steps, objective_of

_CHECKPOINT_SHARE = 0.05  # of the time, at most, is spent on writing checkpoints


@dataclasses.dataclass(frozen=True)
class GazeTraining:
    """What ``train_gaze`` made: the trained net, one row an epoch, and the folder with the files.

    ``history`` has the columns epoch (from 1), step, rate, loss (mean over the epoch's images, each before its step's
    update and without weight decay), val_loss, val_mse (of maps in 0..1), val_cc (NaN in epochs without validation) and
    seconds. ``steps`` has the loss of every batch. ``skipped`` names images without a fixation.
    """

    net: keras.Model
    history: pd.DataFrame
    steps: pd.DataFrame
    output: pathlib.Path
    recipe: Recipe
    skipped: list[str]


def train_gaze(
    net: keras.Model,
    data,
    validation,
    recipe: str | Recipe = "default",
    output: str | os.PathLike = "run",
    *,
    preprocessing: str | conventions.Preprocessing = "unit",
    size: tuple[int, int] | None = None,
    sigma: float | None = None,
    resume: bool = True,
    strategy: str | None = None,
    tensorboard: bool = False,
    progress: bool = True,
    about: Mapping[str, Any] | None = None,
    **changes: Any,
) -> GazeTraining:
    """Train ``net`` in place; write history.csv, steps.csv, curves.png, run.json and the weights into ``output``.

    Args:
        net: RGB images (N, H, W, 3) in, one map an image out: (N, h, w), (N, h, w, 1) or a square one in a row. Its
            weights are the start of a new run; a run that goes on starts from its checkpoint.
        data: a ``GazeDataset``, or a pair of arrays: images, uint8 (N, H, W, 3) or prepared float32, and densities
            (N, h, w), of the net's sizes.
        validation: the same. With ``keep="best"`` in the recipe it chooses the weights; otherwise it chooses nothing.
        recipe: a name in ``RECIPES``, or a ``Recipe``.
        output: the folder of this run, made where it is missing.
        preprocessing: how the net wants its pixels.
        size: (height, width) to train at, for a net that takes any size.
        sigma: blur of fixations in pixels of the image, for data without densities; the data set's own by default.
        resume: go on from the checkpoint in ``output``; ``False`` starts over and replaces what lies there.
        strategy: ``"mirrored"`` spreads every batch over all GPUs (``tf.distribute.MirroredStrategy``).
        tensorboard: also write event files into ``output``/tensorboard.
        progress: show a bar with the images a second and the remaining time, and a line an epoch, on stderr.
        about: kept in run.json, such as how the net was made.
        **changes: to the recipe, such as ``epochs=20``, ``batch_size=32``, ``loss="kld=1,cc=0.2"``.

    Raises:
        ValueError: an unusable net, data or recipe; another run's folder; too little memory for the batch (which would
            fit is said); a loss that is not finite (the image is named).
        OSError: the folder cannot be written to.
        KeyboardInterrupt: stopped by Ctrl-C; its message says what is kept and how to go on.
    """
    chosen = _recipe(recipe, changes)
    convention = conventions.get(preprocessing)
    size, mapped = image_size(net, size), map_size(net, size)
    output = pathlib.Path(output)
    train, test = (
        samples_of(
            one, what, size, mapped, fixations=chosen.needs_fixations, sigma=sigma, folder=output, progress=progress
        )
        for one, what in ((data, "training"), (validation, "validation"))
    )
    chosen = chosen.for_steps(_steps_per_epoch(chosen, len(train)))
    replicas = Replicas(net, strategy)
    replicas.check_batches(_shown(chosen, len(train)), chosen.batch_size)
    with replicas.scope():
        optimizer = _optimizer(chosen)
        optimizer.build(replicas.net.trainable_variables)
    slots = 1 if chosen.optimizer == "torch_sgd" else 2
    check_memory(replicas.net, chosen.batch_size, slots, _bytes(net.weights) + _bytes(optimizer.variables))
    settings = {
        "model": f"{net.name} with {net.count_params():,} parameters",
        **chosen.settings,
        "preprocessing": dataclasses.asdict(convention) | {"name": ""},
        "size": list(size),
        "train_data": checkpoint.fingerprint(*train.arrays),
        "validation_data": checkpoint.fingerprint(*test.arrays),
    }
    settings = json.loads(json.dumps(settings))  # as a checkpoint gives it back
    run = _Run(chosen, replicas, optimizer, convention, mapped, train, test, output, settings)
    journal = run.begin(resume, tensorboard, {**(about or {}), "recipe": _described(recipe)})
    steps = _steps_per_epoch(chosen, len(train))
    with (
        journal,
        Progress(progress, chosen.epochs, steps) as shown,
        folder.explained(output, run.kept, chosen.epochs),
    ):
        run.train(journal, shown)
        replicas.give_back()
        if chosen.keep == "best":
            net.load_weights(output / files_of(net.name).best)
        journal.results(net)
    return GazeTraining(net, journal.history(), journal.steps(), output, chosen, train.skipped)


class _Run:
    """A run under way: what an epoch needs, and how far it is."""

    def __init__(self, chosen, replicas, optimizer, convention, mapped, train, test, output, settings):
        self.recipe, self.replicas, self.optimizer, self.output = chosen, replicas, optimizer, output
        self.data, self.test, self.settings, self.convention, self.map_size = train, test, settings, convention, mapped
        self.state = {"model": replicas.net.weights, "optimizer": optimizer.variables}
        pm1 = chosen.target_range == "pm1"
        objective = objective_of(chosen.loss)
        self.steps = Steps(replicas.net, optimizer, objective, convention, mapped, pm1=pm1, strategy=replicas.strategy)
        self.rows: list[dict] = []
        self.kept: list[dict] = []  # those of the rows that the checkpoint holds
        self._saved, self._saving = time.perf_counter(), 0.0

    def begin(self, resume: bool, tensorboard: bool, about: Mapping[str, Any]) -> Journal:
        files = files_of(self.replicas.net.name)
        self.rows = folder.begin(
            self.output, files.written, self.settings, self.state, resume=resume, epochs=self.recipe.epochs
        )
        self.kept.extend(self.rows)
        facts = {
            "net": self.replicas.net.name,
            "model_file": files.whole,
            "preprocessing": self.convention.name,
            "size": self.settings["size"],
            "map_size": list(self.map_size),
            "target_range": self.recipe.target_range,
            "skipped": {"training": self.data.skipped, "validation": self.test.skipped},
            **about,
        }
        with replacing(self.output / RUN) as path:
            path.write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf-8")
        return Journal(self.output, self.replicas.net.name, self.rows, self.recipe, tensorboard)

    def train(self, journal: Journal, shown: Progress) -> None:
        for epoch in range(len(self.rows) + 1, self.recipe.epochs + 1):
            row = self._epoch(epoch, shown)
            best = min((old["val_loss"] for old in self.rows if old["val_loss"] is not None), default=math.inf)
            if self.recipe.keep == "best" and row["val_loss"] is not None and row["val_loss"] < best:
                with replacing(self.output / files_of(self.replicas.net.name).best) as path:
                    self.replicas.net.save_weights(path)
            self.rows.append(row)
            self._keep(epoch)
            journal.add(row)
            shown.line(_told(row, self.recipe.epochs, _shown(self.recipe, len(self.data))))

    def _keep(self, epoch: int) -> None:
        """Write the checkpoint, unless the last one is so young that writing would take much of the time."""
        now = time.perf_counter()
        if epoch < self.recipe.epochs and now - self._saved < self._saving / _CHECKPOINT_SHARE:
            return
        checkpoint.write(self.output / folder.CHECKPOINT, self.settings, self.rows, self.state)
        self.kept[:] = self.rows
        self._saved = time.perf_counter()
        self._saving = self._saved - now

    def _epoch(self, epoch: int, shown: Progress) -> dict:
        started, recipe = time.perf_counter(), self.recipe
        order, flipped = epoch_order(len(self.data), recipe.mirror, recipe.seed, epoch)
        folder.seed_dropout(self.replicas.net, np.random.default_rng([recipe.seed, epoch, 1]))
        per_epoch = math.ceil(len(order) / recipe.batch_size)
        losses, images, done, rate = [], 0.0, 0, 0.0
        for number, batch in enumerate(batches(self.data, order, flipped, recipe.batch_size)):
            index, *arrays = batch
            rate = self._set_rates(epoch - 1, (epoch - 1) * per_epoch + number, per_epoch)
            values = self._guarded(arrays)
            if not np.isfinite(values).all():
                raise ValueError(_not_finite(values, [self.data.names[i] for i in index], epoch, number + 1))
            losses.append(float(values.mean(dtype=np.float64)))
            images, done = images + float(values.sum(dtype=np.float64)), done + len(index)
            speed = done / (time.perf_counter() - started)
            shown.advance(epoch, f"loss {images / done:.4g}  {speed:.4g} images/s")
        row = {"epoch": epoch, "step": epoch * per_epoch, "rate": rate, "loss": images / done}
        row |= {"val_loss": None, "val_mse": None, "val_cc": None}
        if epoch % recipe.validate_every == 0 or epoch == recipe.epochs:
            row |= {f"val_{name}": value for name, value in validate(self.steps, self.test, recipe.batch_size).items()}
        return row | {"seconds": round(time.perf_counter() - started, 2), "losses": losses}

    def _guarded(self, arrays) -> np.ndarray:
        import tensorflow as tf

        try:
            return self.steps.train(*arrays)
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise ValueError(
                f"Memory ran out in a batch of {len(arrays[0])} images. Start again with half as many "
                f"(--batch-size {max(1, len(arrays[0]) // 2)}) and --fresh."
            ) from error

    def _set_rates(self, epoch: int, step: int, per_epoch: int) -> float:
        """Set the optimizer's rate and momentum to the recipe's for this step; return the rate."""
        total = {"epoch": self.recipe.epochs, "step": self.recipe.epochs * per_epoch}
        position = {"epoch": epoch, "step": step}
        for name in ("rate", "momentum"):
            schedule = getattr(self.recipe, name)
            variable = self.optimizer.learning_rate if name == "rate" else getattr(self.optimizer, "momentum", None)
            if variable is not None:
                variable.assign(schedule(position[schedule.unit], total[schedule.unit]))
        return self.recipe.rate(position[self.recipe.rate.unit], total[self.recipe.rate.unit])


def validate(steps: Steps, samples: Samples, batch_size: int) -> dict[str, float]:
    """Return the means over all images of loss, MSE and CC: over images, not over batches of unequal size."""
    totals: dict[str, float] = {}
    for start in range(0, len(samples), batch_size):
        index = np.arange(start, min(start + batch_size, len(samples)))
        for name, values in steps.validate(*samples.take(index)).items():
            totals[name] = totals.get(name, 0.0) + float(values.sum(dtype=np.float64))
    return {name: total / len(samples) for name, total in totals.items()}


def _recipe(given: str | Recipe, changes: Mapping[str, Any]) -> Recipe:
    return recipe(given, **changes)


def _described(given: str | Recipe) -> str:
    return given if isinstance(given, str) else "own"


def _optimizer(chosen: Recipe):
    if chosen.optimizer == "adam":
        return keras.optimizers.Adam(1e-3)  # both are given the recipe's rate before every step
    return TorchSGD(1e-3, momentum=0.9, weight_decay=chosen.weight_decay)


def _shown(chosen: Recipe, images: int) -> int:
    return 2 * images if chosen.mirror == "both" else images


def _steps_per_epoch(chosen: Recipe, images: int) -> int:
    return math.ceil(_shown(chosen, images) / chosen.batch_size)


def _bytes(variables) -> int:
    return sum(4 * int(np.prod(variable.shape)) for variable in variables)


def _told(row: dict, epochs: int, images: int) -> str:
    text = f"{row['epoch']}/{epochs}  loss {row['loss']:.4g}"
    if row["val_loss"] is not None:
        text += f"  validation: loss {row['val_loss']:.4g}  mse {row['val_mse']:.4g}  cc {row['val_cc']:.3f}"
    return f"{text}  rate {row['rate']:.3g}  {row['seconds']:.1f} s, {images / max(row['seconds'], 1e-9):.4g} images/s"


def _not_finite(values: np.ndarray, names: list[str], epoch: int, step: int) -> str:
    bad = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
    where = f"in epoch {epoch}, step {step}"
    if len(bad) == len(names):
        return (
            f"The loss is not finite {where}, for all {len(names)} images of the batch (the first: {names[0]}): the "
            "training has diverged. Start over with a smaller rate."
        )
    named = ", ".join(bad[:10])
    return (
        f"The loss is not finite {where}, for {len(bad)} of {len(names)} images: {named}. Look at them and their maps."
    )
