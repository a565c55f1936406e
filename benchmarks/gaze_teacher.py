"""Train a large gaze model on a real vision transformer, the teacher of the model of the package.

    python benchmarks/gaze_teacher.py OSIE_FOLDER CROWD_FOLDER DINOV2.py -o RUN [--seeds 0 1 2]
    python benchmarks/gaze_teacher.py OSIE_FOLDER CROWD_FOLDER DINOV2.py -o RUN --test
    python benchmarks/gaze_teacher.py OSIE_FOLDER CROWD_FOLDER DINOV2.py -o RUN --label FOLDER ... --densities OUTPUT

The teacher reads the tokens of three blocks of DINOv2 ViT-S/14 (``taps``) at 336 × 448 pixels with a small
convolutional readout, a blur and a center prior; its output is a log-density on 48 × 64 cells. It is trained in two
steps, on the images and with the validation images of ``kerasal gaze train`` (a random tenth of both data sets): the
readout on stored tokens, and then the readout together with the last three blocks. The loss is that of the recipe
``gaze_tune``; the epoch is chosen by the validation loss. The teacher's prediction is the mean log-density of the
transformers of all seeds and of the package's own model, of the photo and its mirror image.

The first form trains and prints the scores on the validation images. ``--test`` prints those of the test images, which
are for no choice. ``--label`` writes the densities for the training images and for folders of other images, as gaze
data to train on; for these, to save half of the time, mirror images are not averaged. ``--parts N`` adds N random
parts of each training image, as further photos on which nobody was recorded. ``--not-in LABELS`` leaves out the
training images and those photos that are in another such folder, to compare a student with the teacher on new ones. A
stopped run continues: tokens are stored in RUN, and finished trainings are not repeated.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from dinov2_classifier import PREPROCESSING
from gaze_teacher_data import (
    SIZE,
    AveragedPredictor,
    Tokens,
    label,
    package_predictor,
    parts_of,
    photos_in,
    photos_of,
    print_scores,
)
from gaze_teacher_model import Teacher

from kerasal import gaze
from kerasal.datasets import open_gaze, open_training_sets
from kerasal.losses.scores import cc
from kerasal.progress import progress_bar
from kerasal.training.gaze_step import make_objective
from kerasal.training.training_recipes import recipe

import keras
import tensorflow as tf

BATCH = 16


def train(model, inputs, truth, held_out, held_truth, *, rate, epochs, seed, path):
    """Train a model of stored tokens; write the weights of the epoch with the lowest validation loss to ``path``."""
    keras.utils.set_random_seed(seed)
    objective = make_objective(recipe("gaze_tune").loss)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(tokens, target):
        with tf.GradientTape() as tape:
            losses = objective.call(target, densities(model(tokens, training=True)))
            total = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(total, [v.value for v in model.trainable_variables]), model.trainable_variables)
        return total

    @tf.function(reduce_retracing=True)
    def validate(tokens, target):
        maps = densities(model(tokens, training=False))
        return objective.call(target, maps), cc(target[..., 0], maps)

    best, done, steps = np.inf, 0, epochs * -(-len(inputs.images) // BATCH)
    beside = path.with_name(f"part-{path.name}")
    for epoch in range(epochs):
        random = np.random.default_rng([seed, epoch])
        order, mirrored = random.permutation(len(inputs.images)), random.random(len(inputs.images)) < 0.5
        total = 0.0
        with progress_bar(f"epoch {epoch + 1} of {epochs}", len(order)) as advance:
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                warm_up = min(1.0, (done + 1) / 50)
                optimizer.learning_rate.assign(rate * warm_up * (1 + np.cos(np.pi * done / steps)) / 2)
                target = np.where(mirrored[rows, None, None, None], truth[rows, :, ::-1], truth[rows])
                total += float(step(inputs.take(rows, mirrored[rows])[: len(model.inputs)], target)) * len(rows)
                done += 1
                advance(len(rows))
        values = [
            validate(held_out.take(rows, np.zeros(len(rows), bool))[: len(model.inputs)], held_truth[rows])
            for rows in np.array_split(np.arange(len(held_truth)), -(-len(held_truth) // BATCH))
        ]
        loss, correlation = (float(np.concatenate(part).mean()) for part in zip(*values, strict=True))
        kept = loss < best
        if kept:
            best = loss
            model.save_weights(beside)
        text = f"loss {total / len(order):.4f}, validation {loss:.4f}, CC {correlation:.4f}{'  kept' if kept else ''}"
        print(f"epoch {epoch + 1}: {text}", flush=True)
    model.load_weights(beside)
    beside.rename(path)


def densities(logs):
    return tf.exp(logs - tf.reduce_max(logs, axis=(1, 2), keepdims=True))


def truths(data, size):
    """Return density and fixation counts of all images, (N, h, w, 2)."""
    maps = [(np.asarray(data.density(name, size)), np.asarray(data.fixation_map(name, size))) for name in data.names]
    return np.stack([np.stack(pair, axis=-1) for pair in maps]).astype(np.float32)


def train_seed(options, seed, training_set, validation_set):
    """Train readout and last blocks from a seed, unless they are in the folder; return the whole model."""
    path = options.output / f"teacher-{seed}.weights.h5"
    teacher = Teacher(options.backbone, SIZE, seed=seed)
    if not path.exists():
        parts = {"train": training_set, "validation": validation_set}
        stored = [Tokens(part, teacher, options.output / name) for name, part in parts.items()]
        targets = [truths(part, teacher.map_size) for part in parts.values()]
        arguments = stored[0], targets[0], stored[1], targets[1]
        readout = options.output / f"readout-{seed}.weights.h5"
        if not readout.exists():
            backbone = [layer for layer in teacher.lower.layers if layer.weights]
            for layer in backbone:
                layer.trainable = False
            train(teacher.readout, *arguments, rate=1e-3, epochs=options.epochs, seed=seed, path=readout)
            for layer in backbone:
                layer.trainable = True
        teacher.readout.load_weights(readout)
        tuned = options.output / f"tuned-{seed}.weights.h5"
        train(teacher.tuned, *arguments, rate=options.rate, epochs=options.tune, seed=seed + 100, path=tuned)
        teacher.model.save_weights(path)
    teacher.model.load_weights(path)
    return teacher.model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("backbone", type=pathlib.Path, help="dinov2_small.py, beside its weights dinov2_small.npz")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/gaze-teacher"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=7, help="epochs of the readout")
    parser.add_argument("--tune", type=int, default=3, help="epochs of the readout and the last three blocks")
    parser.add_argument("--rate", type=float, default=1e-4, help="rate of the second step")
    parser.add_argument("--test", action="store_true", help="print the scores on the test images")
    parser.add_argument("--label", nargs="+", type=pathlib.Path, help="folders of images to predict")
    parser.add_argument("--most", type=int, help="largest number of images of each of these folders")
    parser.add_argument(
        "--parts", type=int, default=0, help="number of random parts of each training image, with --label"
    )
    parser.add_argument("--densities", type=pathlib.Path, help="folder for the densities of --label")
    parser.add_argument("--not-in", type=pathlib.Path, help="folder of other densities, whose photos are left out")
    options = parser.parse_args()
    if bool(options.label) != bool(options.densities):
        parser.error("--label and --densities must be given together.")
    if options.not_in and not options.label:
        parser.error("--not-in must be given with --label.")
    if options.most is not None and options.most < 1:
        parser.error(f"--most must be a positive integer, got {options.most}.")
    if options.parts < 0:
        parser.error(f"--parts must be 0 or more, got {options.parts}.")
    if options.parts and (not options.label or options.not_in):
        parser.error("--parts must be given with --label and without --not-in, which leaves out the training images.")
    known = open_gaze(options.not_in).names if options.not_in else ()
    others = photos_of(options.label or [], options.most, known)
    options.output.mkdir(parents=True, exist_ok=True)
    training_set, validation_set, _ = open_training_sets([options.osie, options.crowd])
    models = [train_seed(options, seed, training_set, validation_set) for seed in options.seeds]
    package = package_predictor()
    readers = [gaze.Predictor(model, PREPROCESSING) for model in models]
    predictor = AveragedPredictor([*readers, package], mirrored=True)
    if options.label:
        labeler = AveragedPredictor([*readers, package], mirrored=False)
        photos = [] if options.not_in else photos_in(training_set) + parts_of(training_set, options.parts)
        label(labeler, photos + others, options.densities)
    elif options.test:
        for folder in (options.osie, options.crowd):
            print_scores(f"{folder.name}, test images", {"teacher": predictor}, open_gaze(folder, "test"))
    else:
        single = {f"seed {seed}": reader for seed, reader in zip(options.seeds, readers, strict=True)}
        transformers = {"transformers, mirrored": AveragedPredictor(readers, mirrored=True)}
        rows = single | transformers | {"the package's": package, "teacher": predictor}
        print_scores("validation images", rows, validation_set)


if __name__ == "__main__":
    main()
