"""Train a gaze model by a recipe, in an output folder from which a stopped run is resumed.

The order and the mirroring of the images in epoch ``e`` depend only on ``(seed, e)``, the learning rate depends on the
epoch, and the checkpoint holds the weights and the state of the optimizer. A resumed run is therefore bit-equal to an
uninterrupted run (on a GPU, after ``tf.config.experimental.enable_op_determinism()``).
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kerasal import preprocessing as conventions
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.digests import digest
from kerasal.gaze.predictor import find_image_size, find_map_size, is_log_density
from kerasal.layers import CenterBias
from kerasal.names import RenamedAttribute, renamed_arguments
from kerasal.process import check_process
from kerasal.training import results, run_folder, training_recipes
from kerasal.training.gaze_run import Run
from kerasal.training.memory import check_memory
from kerasal.training.optimization import TorchSGD
from kerasal.training.replicas import Replicas
from kerasal.training.run_record import RunRecord, describe_call
from kerasal.training.samples import CACHE, prepare_samples
from kerasal.training.training_recipes import Recipe

import keras


@dataclasses.dataclass(frozen=True)
class GazeTraining:
    """The result of ``train_gaze``.

    Attributes:
        model: the trained model.
        history: one row per epoch, with the columns epoch (from 1), step, rate, loss (mean over the images of the
            epoch, each before the update of its step, without weight decay), val_loss, val_mse (of maps in 0..1),
            val_cc (NaN in epochs without validation) and seconds.
        steps: one row per batch, with the columns step (from 1), epoch and loss.
        output: the output folder.
        recipe: the recipe, with all changes.
        skipped: file name and reason of each training image that was skipped.
        stored_mirrors: number of training images whose mirror image the data contain (0 if the recipe does not mirror
            all images). They are not mirrored again.
    """

    model: keras.Model
    history: pd.DataFrame
    steps: pd.DataFrame
    output: pathlib.Path
    recipe: Recipe
    skipped: dict[str, str]
    stored_mirrors: int = 0

    net = RenamedAttribute("model")


@renamed_arguments(net="model")
def train_gaze(
    model: keras.Model,
    data: GazeDataset | tuple[np.ndarray, np.ndarray],
    validation: GazeDataset | tuple[np.ndarray, np.ndarray],
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
    start: str | None = None,
    **changes: Any,
) -> GazeTraining:
    """Train a gaze model in place; write its history, curves, losses, run.json and weights to the output folder.

    Args:
        model: a model that maps RGB images (N, H, W, 3) to a map per image: (N, h, w), (N, h, w, 1), or a flattened
            square map (N, s * s). A new run starts from its weights; a resumed run, from those of the checkpoint.
        data: a ``GazeDataset``; or a pair of arrays of the model's sizes: images (N, H, W, 3), uint8 or preprocessed
            float32, and densities (N, h, w).
        validation: the same, evaluated after each ``validate_every`` epochs. It influences the result only if the
            recipe has ``keep="best"``.
        recipe: a name in ``RECIPES``, or a ``Recipe``.
        output: output folder of the run; created if it does not exist.
        preprocessing: the model's pixel convention.
        size: (height, width) of the training images, for a model that accepts any size. ``layers.LogDensity`` as its
            last layer keeps it.
        sigma: standard deviation of the Gaussian that blurs fixations, in pixels of the image, for data without
            densities; by default that of the data set.
        resume: whether to resume from the checkpoint in ``output``; ``False`` starts over and replaces the files there.
        strategy: as in ``train``.
        tensorboard: whether to write event files to ``output``/tensorboard.
        progress: whether to show a progress bar, with images per second and remaining time, and a line per epoch on
            stderr.
        about: facts that are added to run.json, such as the options of the model.
        start: as in ``train``.
        **changes: changes to the recipe, such as ``epochs=20``, ``batch_size=32``, ``loss="kld=1,cc=0.2"``.

    Raises:
        ValueError: an unusable model, data or recipe; a folder of another run, or a folder in use; too little
            memory for the batch (the message has a batch size that fits); a loss that is not finite (the message lists
            the images); fewer images per batch than devices; an output folder that the workers do not share.
        OSError: the folder cannot be written to.
        ConnectionError: a worker was lost.
        KeyboardInterrupt: stopped by Ctrl-C; the message says how to resume.
    """
    check_process()
    chosen = training_recipes.recipe(recipe, **changes)
    convention = conventions.get(preprocessing)
    size, map_size = find_image_size(model, size), find_map_size(model, size)
    if is_log_density(model):
        model.layers[-1].image_size = size  # of the model file, so that photos are resized to it later
    output = pathlib.Path(output)
    replicas = Replicas(model, strategy)
    team = replicas.team
    # Images that exceed the memory are cached in the output folder, but other machines must not write there.
    cache = output if team.chief else pathlib.Path(tempfile.gettempdir()) / f"kerasal-{os.getpid()}"
    with team.explain_lost_workers(), run_folder.claim_folder(team, output):
        train, test = (
            prepare_samples(part, what, size, map_size, chosen.needs_fixations, sigma, cache, progress and team.chief)
            for part, what in ((data, "training"), (validation, "validation"))
        )
        if chosen.mirror == "both":
            train.find_mirrors()
        per_epoch = chosen.steps_per_epoch(len(train), train.stored_mirrors)
        chosen = chosen.for_steps(per_epoch)
        replicas.check_batch(chosen.batch_size)
        slots = 1 if chosen.optimizer == "torch_sgd" else 2
        with replicas.scope():  # the learning rate is set before every step
            if chosen.optimizer == "adam":
                optimizer = keras.optimizers.Adam(1e-3)
            else:
                optimizer = TorchSGD(1e-3, momentum=0.9, weight_decay=chosen.weight_decay)
            optimizer.build(replicas.model.trainable_variables)
        variables = [*model.weights, *optimizer.variables]
        check_memory(replicas.model, chosen.batch_size, slots, variables, machines=team.size)
        settings = {
            **run_folder.describe_model(model),
            **chosen.settings,
            "preprocessing": dataclasses.asdict(convention) | {"name": ""},
            "size": list(size),
            "train_data": digest(*train.arrays),
            "validation_data": digest(*test.arrays),
            **({"stored_mirrors": train.stored_mirrors} if train.stored_mirrors else {}),
            **replicas.settings,
            **({} if start is None else {run_folder.START: start}),
        }
        settings = json.loads(json.dumps(settings))  # as read from a checkpoint
        run = Run(chosen, replicas, optimizer, convention, map_size, train, test, output, settings)
        options = {"preprocessing": preprocessing, "size": size, "sigma": sigma, "strategy": strategy, **changes}
        arguments = (model, data, validation, recipe, output)
        call = describe_call("kerasal.training.train_gaze", arguments, options)
        facts = {"recipe": recipe if isinstance(recipe, str) else "own", "sigma": sigma, **(about or {})}
        command = facts.pop("command", call)
        facts = run.begin(resume, facts)
        record = RunRecord(output, facts, command, replicas)
        epochs = chosen.epochs or 1
        journal = results.Journal(output, run.rows, chosen, tensorboard) if team.chief else None
        with (
            record.session(run.rows, epochs),
            journal or contextlib.nullcontext(),
            replicas.show_progress(output, run.kept, epochs, per_epoch, progress) as progress_bar,
        ):
            if train.stored_mirrors:
                progress_bar.line(_describe_mirrors(train.stored_mirrors, len(train), per_epoch))
            run.train(journal, progress_bar)
            run.finish(model, journal)
            shutil.rmtree(cache / CACHE, ignore_errors=True)
            team.exchange({})  # all processes wait until the files are written
    history, losses = results.gaze_history(run.rows), results.gaze_steps(run.rows)
    return GazeTraining(model, history, losses, output, chosen, train.skipped, train.stored_mirrors)


def _describe_mirrors(stored: int, images: int, steps: int) -> str:
    others = f"the other {images - stored:,} are mirrored" if stored < images else "no image is mirrored again"
    return f"The data contain mirror images of {stored:,} of {images:,} images; {others}: {steps:,} steps per epoch."


def add_center_bias(model: keras.Model, *, learned: bool) -> keras.Model:
    """Return a model whose maps are multiplied by a Gaussian in the center of the image, fixed or learned.

    Raises:
        ValueError: a model with log-density maps or with flattened maps.
    """
    maps = model.outputs[0]
    if is_log_density(model):
        raise ValueError(
            f"model must have maps that a center bias can multiply, got log-densities of {model.name}. Use a center "
            "prior of the model instead, such as the option center_prior of gaze."
        )
    if len(maps.shape) == 2:
        raise ValueError(f"model must have maps (N, H, W) for a center bias, got flattened maps {maps.shape}.")
    return keras.Model(model.inputs, CenterBias(learned=learned)(maps), name=model.name)
