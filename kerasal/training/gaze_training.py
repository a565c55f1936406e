"""Train a gaze predictor by a recipe, in a folder from which a stopped or killed run goes on to the same result.

Epoch ``e`` draws its order and its mirror images from ``(seed, e)``, and rates follow from the epoch; with the weights
and the optimizer's state, which the checkpoint holds, nothing else decides what comes next. So a resumed run is
bit-equal to an uninterrupted one (on a GPU, after ``tf.config.experimental.enable_op_determinism()``).
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
from kerasal.process import check_process
from kerasal.training import results, run_folder, training_recipes
from kerasal.training.gaze_run import Run
from kerasal.training.memory import check_memory
from kerasal.training.optimization import TorchSGD
from kerasal.training.replicas import Replicas
from kerasal.training.samples import CACHE, prepare_samples
from kerasal.training.training_recipes import Recipe

import keras


@dataclasses.dataclass(frozen=True)
class GazeTraining:
    """What ``train_gaze`` made: the trained net, one row an epoch, and the folder with the files.

    ``history`` has the columns epoch (from 1), step, rate, loss (mean over the epoch's images, each before its step's
    update and without weight decay), val_loss, val_mse (of maps in 0..1), val_cc (NaN in epochs without validation) and
    seconds. ``steps`` has the loss of every batch. ``skipped`` says which
    training images were left out, and why.
    """

    net: keras.Model
    history: pd.DataFrame
    steps: pd.DataFrame
    output: pathlib.Path
    recipe: Recipe
    skipped: dict[str, str]


def train_gaze(
    net: keras.Model,
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
        strategy: as in ``train``.
        tensorboard: also write event files into ``output``/tensorboard.
        progress: show a bar with the images a second and the remaining time, and a line an epoch, on stderr.
        about: kept in run.json, such as how the net was made.
        start: as in ``train``.
        **changes: to the recipe, such as ``epochs=20``, ``batch_size=32``, ``loss="kld=1,cc=0.2"``.

    Raises:
        ValueError: an unusable net, data or recipe; another run's folder, or one in which a run is at work; too little
            memory for the batch (which would fit is said); a loss that is not finite (the image is named); fewer images
            in a batch than devices; an output folder that the workers do not share.
        OSError: the folder cannot be written to. A ``ConnectionError``: a worker is gone.
        KeyboardInterrupt: stopped by Ctrl-C; its message says what is kept and how to go on.
    """
    check_process()
    chosen = training_recipes.recipe(recipe, **changes)
    convention = conventions.get(preprocessing)
    size, mapped = find_image_size(net, size), find_map_size(net, size)
    output = pathlib.Path(output)
    replicas = Replicas(net, strategy)
    team = replicas.team
    # What the memory does not hold lies beside the run; the other machines, which may not write there, keep their own.
    cache = output if team.chief else pathlib.Path(tempfile.gettempdir()) / f"kerasal-{os.getpid()}"
    with team.explain_lost_workers(), run_folder.claim_folder(team, output):
        train, test = (
            prepare_samples(one, what, size, mapped, chosen.needs_fixations, sigma, cache, progress and team.chief)
            for one, what in ((data, "training"), (validation, "validation"))
        )
        chosen = chosen.for_steps(chosen.steps_per_epoch(len(train)))
        replicas.check_batch(chosen.batch_size)
        slots = 1 if chosen.optimizer == "torch_sgd" else 2
        with replicas.scope():  # both are given the recipe's rate before every step
            if chosen.optimizer == "adam":
                optimizer = keras.optimizers.Adam(1e-3)
            else:
                optimizer = TorchSGD(1e-3, momentum=0.9, weight_decay=chosen.weight_decay)
            optimizer.build(replicas.model.trainable_variables)
        there = [*net.weights, *optimizer.variables]
        check_memory(replicas.model, chosen.batch_size, slots, there, machines=team.size)
        settings = {
            **run_folder.describe_model(net),
            **chosen.settings,
            "preprocessing": dataclasses.asdict(convention) | {"name": ""},
            "size": list(size),
            "train_data": digest(*train.arrays),
            "validation_data": digest(*test.arrays),
            **replicas.settings,
            **({} if start is None else {run_folder.START: start}),
        }
        settings = json.loads(json.dumps(settings))  # as a checkpoint gives it back
        run = Run(chosen, replicas, optimizer, convention, mapped, train, test, output, settings)
        named = {"recipe": recipe if isinstance(recipe, str) else "own", **(about or {})}
        run.begin(resume, named)
        epochs, steps = chosen.epochs or 1, chosen.steps_per_epoch(len(train))
        journal = results.Journal(output, run.rows, chosen, tensorboard) if team.chief else None
        with (
            journal or contextlib.nullcontext(),
            replicas.show_progress(output, run.kept, epochs, steps, progress) as shown,
        ):
            run.train(journal, shown)
            run.finish(net, journal)
            shutil.rmtree(cache / CACHE, ignore_errors=True)
            team.exchange({})  # nobody leaves before all is written
    history, losses = results.gaze_history(run.rows), results.gaze_steps(run.rows)
    return GazeTraining(net, history, losses, output, chosen, train.skipped)


def add_center_bias(model: keras.Model, *, learned: bool) -> keras.Model:
    """Return a model whose maps are multiplied by a center Gaussian, fixed or learned.

    Raises:
        ValueError: a model of log-densities, or of maps in a row.
    """
    maps = model.outputs[0]
    if is_log_density(model):
        raise ValueError(
            "A center bias multiplies maps, and this net gives log-densities. It may have a prior of its own: gaze has "
            "the option center_prior."
        )
    if len(maps.shape) == 2:
        raise ValueError("A center bias needs a net whose output is a map (N, H, W), not its pixels in a row.")
    return keras.Model(model.inputs, CenterBias(learned=learned)(maps), name=model.name)
