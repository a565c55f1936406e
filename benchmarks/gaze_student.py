"""Distill the gaze model of the package from a larger teacher, and measure what each ingredient adds.

    python benchmarks/gaze_student.py OSIE_FOLDER CROWD_FOLDER LABELS -o RUN [--seeds 0 1 2]
    python benchmarks/gaze_student.py OSIE_FOLDER CROWD_FOLDER LABELS -o RUN --without unlabeled [mirror ...]
    python benchmarks/gaze_student.py OSIE_FOLDER CROWD_FOLDER LABELS -o RUN --test [--without ...]

LABELS is the folder that ``gaze_teacher.py --label`` writes: photos of 240 × 320 pixels with the densities that the
teacher predicts, first the training images of both data sets and then images that nobody was recorded on. Training
starts from the package's weights "kerasal", or from ``--weights``. The loss of an image with fixations is the mean of
that of the recipe ``gaze_tune``, the log-likelihood of its fixations in bits and half the CC, and of the same on the
teacher's density; of an image without, only the latter. The result is the moving average of the weights, at the
validation with the lowest loss of ``gaze_tune`` on the validation images of ``kerasal gaze train``, a random tenth of
both data sets.

``--without`` leaves out the images without fixations (unlabeled), the teacher and with it those images (teacher),
mirror images (mirror) or the average of the weights (average); the number of steps remains. ``--share`` sets the part
of each batch that is drawn from the images with fixations, by default that of LABELS; ``--size`` resizes all photos,
for the training and for the scores. The first forms print the scores on the validation images; ``--test`` prints those
of the test images, which are for no choice. ``--compare DENSITIES`` prints how far the students are from the teacher,
on photos that ``gaze_teacher.py --label ... --not-in LABELS`` chose, and on as many of LABELS from the same folders,
on which they were trained (not those ``--without unlabeled``). Finished trainings in RUN are not repeated.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from gaze_teacher_data import package_predictor, photos_like, print_distances, print_scores

import kerasal
from kerasal import gaze, images
from kerasal.datasets import open_gaze, open_training_sets
from kerasal.gaze.predictor import preprocess, shape_maps
from kerasal.losses.scores import cc
from kerasal.models.weight_files import save_npz
from kerasal.progress import progress_bar
from kerasal.training.gaze_step import make_objective
from kerasal.training.training_recipes import recipe

import keras
import tensorflow as tf

BATCH = 16
SIZE = (240, 320)
STRIDE = 8
"""Pixels of a photo per value of the map and side."""
DECAY = 0.998
"""Weight of the previous average of the weights in each step."""
INGREDIENTS = ("unlabeled", "teacher", "mirror", "average")
_LOSS = recipe("gaze_tune").loss
_TRUTH = make_objective(_LOSS)
# The divergence from a density in bits is the likelihood of fixations that are distributed like it, up to a constant.
_TEACHER = make_objective({"kld": _LOSS["likelihood"] / np.log(2), "cc": _LOSS["cc"]})


class Photos:
    """Photos with the density of the teacher and, if there are fixations, their density and counts.

    Attributes:
        pixels: uint8 (N, H, W, 3).
        targets: float32 (N, H / 8, W / 8, 3): the teacher's density, the density of the fixations, and their counts.
        known: whether there are fixations, booleans (N,).
    """

    def __init__(self, labels, data, size=SIZE):
        names = [f"train-{name}" for name in data.names]
        rows = {name: row for row, name in enumerate(names)}
        missing = set(names) - set(labels.names)
        if missing:
            raise SystemExit(f"LABELS must contain the {len(names)} training images, got none for {min(missing)}.")
        self.pixels = pixels_of(labels, size)
        self.known = np.array([name in rows for name in labels.names])
        map_size = map_size_of(self.pixels)
        self.targets = np.zeros((len(labels), *map_size, 3), np.float32)
        for target, name in zip(self.targets, labels.names, strict=True):
            target[..., 0] = labels.density(name, map_size)
            if name in rows:
                target[..., 1:] = truth(data, data.names[rows[name]], map_size)


def pixels_of(data, size):
    return np.stack([images.resize(data.image(name), size) for name in data.names])


def map_size_of(pixels):
    return tuple(side // STRIDE for side in pixels.shape[1:3])


def truth(data, name, size):
    return np.stack([np.asarray(data.density(name, size)), np.asarray(data.fixation_map(name, size))], axis=-1)


def draw(pool, count, random):
    """Yield ``count`` numbers of a pool at a time, in a new order whenever all were drawn."""
    order = []
    while True:
        while len(order) < count:
            order = [*order, *random.permutation(pool)]
        yield np.array(order[:count], int)
        order = order[count:]


def train(photos, validation, *, steps, rate, seed, without, share=None, weights="kerasal", path):
    """Train a student; write the averaged weights with the lowest validation loss to ``path``."""
    keras.utils.set_random_seed(seed)
    model = kerasal.create_model("gaze", weights)
    convention = kerasal.preprocessing.get(kerasal.model_spec("gaze").preprocessing)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)
    map_size = map_size_of(photos.pixels)
    held_out = pixels_of(validation, photos.pixels.shape[1:3])
    held_truth = np.stack([truth(validation, name, map_size) for name in validation.names]).astype(np.float32)
    recorded, others = np.flatnonzero(photos.known), np.flatnonzero(~photos.known)
    if {"unlabeled", "teacher"} & set(without):
        pools = [(recorded, BATCH)]
    elif share is None:
        pools = [(np.arange(len(photos.known)), BATCH)]
    else:
        pools = [(recorded, round(share * BATCH)), (others, BATCH - round(share * BATCH))]

    def maps(pixels, training):
        return shape_maps(model(preprocess(pixels, convention), training=training), map_size, log=True)

    if any(count and not len(pool) for pool, count in pools):
        raise SystemExit("LABELS must contain photos without fixations for --share below 1, got none.")
    averages = [tf.Variable(variable.value) for variable in model.trainable_variables]

    @tf.function(reduce_retracing=True)
    def step(pixels, targets, known, decay):
        with tf.GradientTape() as tape:
            outputs = maps(pixels, training=True)
            of_truth = _TRUTH.call(targets[..., 1:], outputs)
            of_teacher = _TEACHER.call(tf.repeat(targets[..., :1], 2, axis=-1), outputs)
            both = of_truth if "teacher" in without else (of_truth + of_teacher) / 2
            loss = tf.reduce_mean(tf.where(known, both, of_teacher))
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]), model.trainable_variables)
        for average, variable in zip(averages, model.trainable_variables, strict=True):
            average.assign(decay * average + (1 - decay) * variable.value)
        return loss

    @tf.function(reduce_retracing=True)
    def validate(pixels, target):
        outputs = maps(pixels, training=False)
        return _TRUTH.call(target, outputs), cc(target[..., 0], outputs)

    random, best, losses = np.random.default_rng(seed), np.inf, []
    draws = [draw(pool, count, random) for pool, count in pools]
    beside = path.with_name(f"part-{path.name}")
    every = -(-steps // 10)
    with progress_bar(path.stem, steps) as advance:
        for done in range(1, steps + 1):
            rows = np.concatenate([next(part) for part in draws])
            flipped = random.random(BATCH) < (0 if "mirror" in without else 0.5)
            optimizer.learning_rate.assign(rate * min(1, done / 50) * (1 + np.cos(np.pi * done / steps)) / 2)
            pixels, targets = (
                np.where(flipped[:, None, None, None], values[rows, :, ::-1], values[rows])
                for values in (photos.pixels, photos.targets)
            )
            decay = 0 if "average" in without else min(DECAY, done / (done + 10))
            losses.append(float(step(pixels, targets, photos.known[rows], tf.constant(decay, tf.float32))))
            advance(1)
            if done % every and done != steps:
                continue
            current = model.get_weights()
            for variable, average in zip(model.trainable_variables, averages, strict=True):
                variable.assign(average)
            parts = [validate(held_out[i : i + 30], held_truth[i : i + 30]) for i in range(0, len(held_out), 30)]
            loss, correlation = (float(np.concatenate(part).mean()) for part in zip(*parts, strict=True))
            if loss < best:
                save_npz(model, beside, "float16")
            kept = "  kept" if loss < best else ""
            best = min(loss, best)
            model.set_weights(current)
            values = f"loss {np.mean(losses):.4f}, validation {loss:.4f}, CC {correlation:.4f}{kept}"
            print(f"step {done}: {values}", flush=True)
            losses = []
    beside.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("labels", type=pathlib.Path, help="folder of gaze data from gaze_teacher.py --label")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/gaze-student"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--weights", default="kerasal", help="of gaze, that the training starts from; default: kerasal")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--share", type=float, help="share of the recorded photos in each batch; default: as in LABELS")
    parser.add_argument(
        "--size", nargs=2, type=int, default=SIZE, metavar=("HEIGHT", "WIDTH"), help="of the photos; default: 240 320"
    )
    parser.add_argument("--without", nargs="+", choices=INGREDIENTS, default=[])
    parser.add_argument("--test", action="store_true", help="print the scores on the test images")
    parser.add_argument(
        "--compare", type=pathlib.Path, help="densities of the teacher for photos that are not in LABELS"
    )
    options = parser.parse_args()
    if options.share is not None and not 0 < options.share <= 1:
        parser.error(f"--share must be above 0 and at most 1, got {options.share}.")
    if options.share is not None and {"unlabeled", "teacher"} & set(options.without):
        parser.error("--share must be left out with --without unlabeled or teacher, which use recorded photos alone.")
    if min(options.size) < STRIDE or any(side % STRIDE for side in options.size):
        parser.error(f"--size must be two multiples of {STRIDE}, got {' '.join(map(str, options.size))}.")
    if options.compare and options.test:
        parser.error("--compare and --test must not be given together.")
    new_photos = open_gaze(options.compare) if options.compare else None
    options.output.mkdir(parents=True, exist_ok=True)
    training_set, validation_set, _ = open_training_sets([options.osie, options.crowd])
    size = tuple(options.size)
    share = [] if options.share is None else [f"share-{options.share:g}"]
    share += [] if options.weights == "kerasal" else [f"from-{pathlib.Path(options.weights).stem}"]
    share += [] if size == SIZE else [f"size-{size[0]}-{size[1]}"]
    settings = [f"{options.steps}-steps", f"rate-{options.rate:g}"]  # so that no training of other settings is used
    name = "-".join(["student", *settings, *share, *(f"no-{part}" for part in sorted(options.without))])
    paths = {seed: options.output / f"{name}-{seed}.npz" for seed in options.seeds}
    photos = None
    for seed, path in paths.items():
        if not path.exists():
            photos = photos or Photos(open_gaze(options.labels), training_set, size)
            settings = {name: getattr(options, name) for name in ("steps", "rate", "without", "share", "weights")}
            train(photos, validation_set, seed=seed, **settings, path=path)
    students = {
        f"seed {seed}": gaze.Predictor(kerasal.create_model("gaze", path), package_predictor().convention, size=size)
        for seed, path in paths.items()
    }
    rows = students | {"first weights": package_predictor()}
    if new_photos:
        print_distances(f"{name}: distance from {options.compare.name}", rows, new_photos)
        like = photos_like(open_gaze(options.labels), new_photos)
        print_distances(f"{name}: distance from {options.labels.name}, the same folders", rows, like)
    elif options.test:
        for folder in (options.osie, options.crowd):
            print_scores(f"{name}: {folder.name}, test images", rows, open_gaze(folder, "test"))
    else:
        print_scores(f"{name}: validation images", rows, validation_set)


if __name__ == "__main__":
    main()
