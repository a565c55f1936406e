"""The training run of a gaze model: its epochs, its validations and its checkpoints."""

import dataclasses
import math
import shutil
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal.files import atomic_write
from kerasal.store import plain
from kerasal.training import results, run_folder
from kerasal.training.gaze_step import Steps, make_objective
from kerasal.training.run_record import describe_architecture
from kerasal.training.samples import Samples, batches, epoch_order
from kerasal.training.training_progress import Progress

import tensorflow as tf

_CHECKPOINT_SHARE = 0.05  # largest share of the time that is spent on writing checkpoints


class Run:
    """A training run: ``rows`` is its history so far, and ``kept`` the rows that the checkpoint contains."""

    def __init__(self, recipe, replicas, optimizer, convention, map_size, train, test, output, settings):
        self.recipe, self.replicas, self.optimizer, self.output = recipe, replicas, optimizer, output
        self.data, self.test, self.settings = train, test, settings
        self.convention, self.map_size = convention, map_size
        self.state = {"model": replicas.model.weights, "optimizer": optimizer.variables}
        self.team = replicas.team
        options = {"replicas": replicas, "length": recipe.batch_size, "pm1": recipe.target_range == "pm1"}
        self.steps = Steps(replicas.model, optimizer, make_objective(recipe.loss), convention, map_size, **options)
        self.best = output / results.best_file(replicas.model.name)
        self.rows: list[dict] = []
        self.kept: list[dict] = []
        self._saved, self._saving = time.perf_counter(), 0.0

    def begin(self, resume: bool, about: Mapping[str, Any]) -> dict[str, Any]:
        """Resume the run in the folder or begin a new run, and return the content of run.json, with ``about``."""
        name = self.replicas.model.name
        files = results.gaze_files(name)
        self.rows = run_folder.begin_run(
            self.team, self.output, files, self.settings, self.state, resume=resume, epochs=self.recipe.epochs
        )
        self.kept.extend(self.rows)
        if self.team.chief and not self.rows:
            shutil.rmtree(self.output / results.EVENTS, ignore_errors=True)
        split = {"how": "data sets that were passed to the training", **about.get("split", {})}
        for part, samples in (("training", self.data), ("validation", self.test)):
            digest = self.settings["train_data" if part == "training" else "validation_data"]
            split[part] = {"images": len(samples), "digest": digest}
        return {
            "task": "gaze",
            "net": name,
            "model_file": results.model_files(name)[1],
            "preprocessing": self.convention.name,
            "size": self.settings["size"],
            "map_size": list(self.map_size),
            "target_range": self.recipe.target_range,
            "skipped": {"training": self.data.skipped, "validation": self.test.skipped},
            "architecture": describe_architecture(self.replicas.model, self.settings),
            "start": self.settings.get(run_folder.START),  # only the chief knows it
            "stored_mirrors": self.data.stored_mirrors,
            "training": self._describe_training(),
            "data": [],
            **about,
            "split": split,
        }

    def _describe_training(self) -> dict[str, Any]:
        """Return all settings of the recipe, and those of the optimizer that it does not have."""
        recipe = {key: plain(value) for key, value in dataclasses.asdict(self.recipe).items()}
        for key in ("rate", "momentum"):
            schedule = getattr(self.recipe, key)
            recipe[key] = {"schedule": type(schedule).__name__, **dataclasses.asdict(schedule)}
        if self.recipe.optimizer == "adam":  # which has neither
            del recipe["momentum"], recipe["weight_decay"]
        config = {key: self.optimizer.get_config().get(key) for key in ("beta_1", "beta_2", "epsilon", "nesterov")}
        options = {key: value for key, value in config.items() if value is not None}
        per_epoch = self.recipe.steps_per_epoch(len(self.data), self.data.stored_mirrors)
        return recipe | {"optimizer_options": options, "steps_per_epoch": per_epoch}

    def train(self, journal: results.Journal | None, progress: Progress) -> None:
        """Train the remaining epochs; the chief records each in the journal."""
        for epoch in range(len(self.rows) + 1, self.recipe.epochs + 1):
            row = self._train_epoch(epoch, progress)
            best = min((old["val_loss"] for old in self.rows if old["val_loss"] is not None), default=math.inf)
            better = row["val_loss"] is not None and row["val_loss"] < best
            if journal is not None and self.recipe.keep == "best" and better:
                with atomic_write(self.best) as path:
                    self.replicas.model.save_weights(path)
            row["seconds"] = self.team.exchange({"seconds": row["seconds"]})[0]["seconds"]
            self.rows.append(row)
            if journal is not None:
                self._save_checkpoint(epoch)
                journal.add(row)
            text = f"loss {row['loss']:.4g}"
            if row["val_loss"] is not None:
                text += f"  validation: loss {row['val_loss']:.4g}  mse {row['val_mse']:.4g}  cc {row['val_cc']:.3f}"
            speed = self.recipe.images_per_epoch(len(self.data), self.data.stored_mirrors) / max(row["seconds"], 1e-9)
            text += f"  rate {row['rate']:.3g}  {row['seconds']:.1f} s, {speed:.4g} images/s"
            progress.line(text, epoch)

    def finish(self, model, journal: results.Journal | None) -> None:
        """Set the trained weights of ``model``, the same ones in every process; the chief writes the results."""
        self.replicas.copy_weights_back()
        if self.recipe.keep == "best":
            digest = run_folder.digest_if_exists(self.best) if self.team.chief else ""
            run_folder.wait_for_file(self.best, self.team.exchange({"digest": digest})[0]["digest"])
            model.load_weights(self.best)
        if journal is not None:
            journal.write_results(model)

    def _save_checkpoint(self, epoch: int) -> None:
        """Write the checkpoint, unless this would take more than 5 % of the time since the last checkpoint."""
        now = time.perf_counter()
        if epoch < self.recipe.epochs and now - self._saved < self._saving / _CHECKPOINT_SHARE:
            return
        run_folder.write_checkpoint(self.output / run_folder.CHECKPOINT, self.settings, self.rows, self.state)
        self.kept[:] = self.rows
        self._saved = time.perf_counter()
        self._saving = self._saved - now

    def _train_epoch(self, epoch: int, progress: Progress) -> dict:
        started, recipe = time.perf_counter(), self.recipe
        order, flipped = epoch_order(len(self.data), recipe.mirror, recipe.seed, epoch, self.data.mirrored)
        self.replicas.seed_dropout(np.random.default_rng([recipe.seed, epoch, 1]))
        per_epoch = recipe.steps_per_epoch(len(self.data), self.data.stored_mirrors)
        losses, images, done, rate = [], 0.0, 0, 0.0
        for number, batch in enumerate(batches(self.data, order, flipped, recipe.batch_size)):
            index, *arrays = batch
            rate = self._set_rates(epoch - 1, (epoch - 1) * per_epoch + number, per_epoch)
            try:
                values = self.steps.train(*arrays)
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                raise ValueError(
                    f"A batch of {len(index)} images must fit into memory, but memory ran out. Start over with "
                    f"batch_size={max(1, len(index) // 2)} and resume=False."
                ) from error
            if not np.isfinite(values).all():
                raise ValueError(_describe_not_finite(values, [self.data.names[i] for i in index], epoch, number + 1))
            losses.append(float(values.mean(dtype=np.float64)))
            images, done = images + float(values.sum(dtype=np.float64)), done + len(index)
            speed = done / (time.perf_counter() - started)
            progress.advance(epoch, f"loss {images / done:.4g}  {speed:.4g} images/s")
        self.replicas.average_statistics()
        row = {"epoch": epoch, "step": epoch * per_epoch, "rate": rate, "loss": images / done}
        row |= {"val_loss": None, "val_mse": None, "val_cc": None}
        if epoch % recipe.validate_every == 0 or epoch == recipe.epochs:
            row |= {f"val_{name}": value for name, value in validate(self.steps, self.test, recipe.batch_size).items()}
        return row | {"seconds": round(time.perf_counter() - started, 2), "losses": losses}

    def _set_rates(self, epoch: int, step: int, per_epoch: int) -> float:
        """Set the optimizer's learning rate and momentum to the recipe's for this step; return the learning rate."""
        positions = {"epoch": (epoch, self.recipe.epochs), "step": (step, self.recipe.epochs * per_epoch)}
        rate, momentum = (schedule(*positions[schedule.unit]) for schedule in (self.recipe.rate, self.recipe.momentum))
        self.optimizer.learning_rate.assign(rate)
        if hasattr(self.optimizer, "momentum"):
            self.optimizer.momentum.assign(momentum)
        return rate


def validate(steps: Steps, samples: Samples, batch_size: int) -> dict[str, float]:
    """Return the means of loss, MSE and CC over all images (not over batches, which may differ in size)."""
    totals: dict[str, float] = {}
    for start in range(0, len(samples), batch_size):
        index = np.arange(start, min(start + batch_size, len(samples)))
        for name, values in steps.validate(*samples.take(index)).items():
            totals[name] = totals.get(name, 0.0) + float(values.sum(dtype=np.float64))
    return {name: total / len(samples) for name, total in totals.items()}


def _describe_not_finite(values: np.ndarray, names: list[str], epoch: int, step: int) -> str:
    bad = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
    where = f"in epoch {epoch}, step {step}"
    if len(bad) == len(names):
        return (
            f"The loss must be finite, but it is not {where}, for all {len(names)} images of the batch (the first is "
            f"{names[0]}): the training has diverged. Start over with a smaller rate."
        )
    listed = ", ".join(bad[:10])
    return (
        f"The loss must be finite, but it is not {where}, for {len(bad)} of {len(names)} images: {listed}. Check these "
        "images and their maps."
    )
