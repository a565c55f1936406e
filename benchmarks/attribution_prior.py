"""Does a model stop using a shortcut when its training penalizes gradients on it?

    python benchmarks/attribution_prior.py mnist.npz [--seeds 3] [--images 2000] [--epochs 8] [--share 1]

A small convolutional model learns digits. In the training images, a patch of 4 × 4 pixels in the top left corner has a
gray level that says the class, .1 to 1 (in a ``--share`` of the images; in the others it is that of a random class).
The test images come three times: with the right cue, without it (the corner is black), and with the cue of a random
class. Rows:

``no prior``        the cross-entropy alone
``corner``          with the term "reasons" of ``losses.AttributionPrior``, whose mask is the corner; "share" is with
                    ``normalize=True``
``elsewhere``       the same with a mask of 4 × 4 pixels at a random place of the image, at the same cost
``whole image``     the same with a mask of all pixels: an input-gradient penalty without knowledge of the cue
``weight decay``    AdamW, at the cost of no prior
``random corner``   no prior, but the corner of every training image has a random gray level: the mask is used on the
                    images instead of the gradients
``continued``       the models of ``no prior``, which use the cue, after as many further epochs

Where there is a weight, several are shown. The columns are accuracies in percent. "difference" is that to ``no prior``
on images without the cue, with the 95 % bootstrap interval over the test images (paired, mean of the seeds), followed
by that of each seed: the interval is that of these models, and the seeds show what other trainings would change.
"follows" is the share of images with a random cue that are classified as the class of the cue, where that is not their
own; errors alone make about 1 %. "on the corner" is the share of the map (``class_saliency``, images with a random cue)
on the corner, which has 2 % of the pixels. Above the table is the processor time of a training step with the prior
relative to one without, measured in turns; ``--seeds 0`` prints that alone.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from map_scores import use_one_thread
from markdown_tables import interval, print_lines, print_table

from kerasal import attribution, datasets, losses, training
from kerasal.attribution import evaluation

import keras
from keras import layers

SIZE, CUE, CLASSES, BATCH, RATE = 28, 4, 10, 64, 2e-3
CORNER = np.zeros((SIZE, SIZE), np.float32)
CORNER[:CUE, :CUE] = 1


def build(seed: int) -> keras.Model:
    """Return a model of two convolutions with random weights."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def add_cue(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return digits (N, 28, 28) as inputs in 0..1, with the gray level of a class in the corner."""
    inputs = images.astype(np.float32) / 255
    inputs[:, :CUE, :CUE] = ((classes + 1) / CLASSES)[:, None, None]
    return inputs[..., None]


def elsewhere(random: np.random.Generator) -> np.ndarray:
    """Return a mask of the size of the cue at a random place that does not touch it."""
    while True:
        row, column = random.integers(0, SIZE - CUE + 1, 2)
        if row >= CUE or column >= CUE:
            mask = np.zeros_like(CORNER)
            mask[row : row + CUE, column : column + CUE] = 1
            return mask


def compiled(model: keras.Model, weight: float | None, *, share: bool = False, decay: float = 0) -> keras.Model:
    """Return what trains a model: itself, or with the term "reasons" if that has a weight."""
    trainer = model
    if weight is not None:
        trainer = training.PriorModel(model, losses.AttributionPrior("reasons", weight, normalize=share))
    optimizer = keras.optimizers.AdamW(RATE, weight_decay=decay) if decay else keras.optimizers.Adam(RATE)
    trainer.compile(optimizer, "sparse_categorical_crossentropy")
    return trainer


def data(inputs: np.ndarray, mask: np.ndarray | None):
    """Return what ``fit`` takes."""
    return inputs if mask is None else {"inputs": inputs, "forbidden": np.broadcast_to(mask, inputs.shape[:3])}


class Row:
    """A way to train, compiled once and used for every seed."""

    def __init__(self, weight: float | None = None, *, share: bool = False, decay: float = 0):
        self.model, self.penalized = build(0), weight is not None
        self.trainer = compiled(self.model, weight, share=share, decay=decay)
        self.trainer.optimizer.build(self.model.trainable_variables)
        self._start = [variable.numpy() for variable in self.trainer.optimizer.variables]

    def train(self, weights, inputs, labels, mask, seed: int, epochs: int) -> list[np.ndarray]:
        """Return the weights after a training that starts at ``weights`` with a new optimizer."""
        self.model.set_weights(weights)
        for variable, value in zip(self.trainer.optimizer.variables, self._start, strict=True):
            variable.assign(value)
        keras.utils.set_random_seed(seed)  # the same batches for all rows of a seed
        x = data(inputs, mask if self.penalized else None)
        self.trainer.fit(x, labels, epochs=epochs, batch_size=BATCH, verbose=0)
        return self.model.get_weights()


def measure(model: keras.Model, tests: dict[str, np.ndarray], labels, cues) -> dict[str, np.ndarray]:
    """Return for each test image whether it is right, whether it follows a wrong cue, and the map on the corner."""
    classes = {name: model.predict(x, verbose=0, batch_size=500).argmax(axis=1) for name, x in tests.items()}
    measured = {name: (found == labels).astype(float) for name, found in classes.items()}
    measured["follows"] = np.where(cues == labels, np.nan, classes["random cue"] == cues)
    some = tests["random cue"][:300]
    maps = attribution.class_saliency(model, some)
    measured["on the corner"] = evaluation.relevance_mass(maps, np.broadcast_to(CORNER > 0, maps.shape)).values
    return measured


@dataclasses.dataclass(frozen=True)
class Sample:
    """The training images of a seed, with the cue and with a random gray level in its place."""

    seed: int
    images: np.ndarray
    erased: np.ndarray
    labels: np.ndarray
    place: np.ndarray

    @classmethod
    def draw(cls, images, labels, seed: int, count: int, share: float):
        """Return ``count`` images, of which a ``share`` has the right cue."""
        random = np.random.default_rng(seed)
        chosen = random.permutation(len(images))[:count]
        y = labels[chosen].astype(int)
        cues = np.where(random.random(count) < share, y, random.integers(0, CLASSES, count))
        grays = random.uniform(0, CLASSES - 1, count)
        return cls(seed, add_cue(images[chosen], cues), add_cue(images[chosen], grays), y, elsewhere(random))


def train_all(samples: list[Sample], epochs: int) -> dict[str, list]:
    """Return the weights of each row after the training, one list per seed."""
    whole, rows = np.ones_like(CORNER), {}
    starts = [build(sample.seed).get_weights() for sample in samples]

    def add(name, row, *, mask=None, erased=False, starts=starts, shift=0):
        rows[name] = [
            row.train(
                weights,
                sample.erased if erased else sample.images,
                sample.labels,
                sample.place if mask is None else mask,
                sample.seed + shift,
                epochs,
            )
            for sample, weights in zip(samples, starts, strict=True)
        ]
        print_lines(f"trained: {name}")

    corner = {f"weight {weight:g}": Row(weight) for weight in (0.01, 0.1, 1, 10)}
    corner["share, weight 10"] = Row(10, share=True)
    plain = Row()
    add("no prior", plain)
    for name in ("weight 0.1", "weight 1", "weight 10", "share, weight 10"):
        add(f"corner, {name}", corner[name], mask=CORNER)
    add("elsewhere, weight 10", corner["weight 10"])
    for name in ("weight 0.01", "weight 0.1", "weight 1"):
        add(f"whole image, {name}", corner[name], mask=whole)
    for decay in (0.1, 1, 10):
        add(f"weight decay {decay:g}", Row(decay=decay))
    add("random corner", plain, erased=True)
    add("continued without", plain, starts=rows["no prior"], shift=100)
    for name in ("weight 0.01", "weight 0.1", "weight 1", "share, weight 10"):
        add(f"continued, corner, {name}", corner[name], mask=CORNER, starts=rows["no prior"], shift=100)
    return rows


def step_ratio(rounds: int = 40) -> float:
    """Return the median processor time of a step with the prior, divided by that of one without, measured in turns."""
    random = np.random.default_rng(0)
    x, y = random.random((BATCH, SIZE, SIZE, 1), np.float32), random.integers(0, CLASSES, BATCH)
    trainers = [(compiled(build(0), None), x), (compiled(build(0), 1), data(x, CORNER))]
    times: list[list[float]] = [[], []]
    for number in range(rounds + 5):
        for (trainer, inputs), taken in zip(trainers, times, strict=True):
            start = time.process_time()
            trainer.train_on_batch(inputs, y)
            if number >= 5:
                taken.append(time.process_time() - start)
    return float(np.median(times[1]) / np.median(times[0]))


def table_rows(results: dict[str, list[dict[str, np.ndarray]]]) -> dict[str, dict[str, str]]:
    """Return the rows of the table, as text."""
    base, rows = [seed["no cue"] for seed in results["no prior"]], {}
    for name, seeds in results.items():
        mean = {key: np.mean([seed[key] for seed in seeds], axis=0) for key in seeds[0]}
        differences = [100 * (seed["no cue"] - start) for seed, start in zip(seeds, base, strict=True)]
        each = ", ".join(f"{difference.mean():+.1f}" for difference in differences)
        rows[name] = {
            **{key: f"{100 * mean[key].mean():.1f}" for key in ("right cue", "no cue", "random cue")},
            "difference": "–" if name == "no prior" else f"{interval(np.mean(differences, axis=0), 1)}: {each}",
            "follows": interval(100 * mean["follows"], 1),
            "on the corner": interval(100 * mean["on the corner"], 1),
        }
    return rows


def main(words=None) -> None:
    """Read the arguments, train, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mnist", type=pathlib.Path, help="mnist.npz, or a folder with the IDX files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2000, help="training images")
    parser.add_argument("--test", type=int, default=3000, help="test images")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--share", type=float, default=1.0, help="share of training images with the right cue")
    arguments = parser.parse_args(words)
    (images, labels), (test_images, test_labels) = datasets.mnist(arguments.mnist)
    samples = [Sample.draw(images, labels, seed, arguments.images, arguments.share) for seed in range(arguments.seeds)]
    print_lines(f"A step with the prior takes {step_ratio():.2f} times the processor time of a step without it.")
    if not samples:
        return
    trained = train_all(samples, arguments.epochs)
    test_images, truth = test_images[: arguments.test], test_labels[: arguments.test].astype(int)
    cues = np.random.default_rng(99).integers(0, CLASSES, len(truth))
    plain = test_images[..., None].astype(np.float32) / 255
    tests = {"right cue": add_cue(test_images, truth), "no cue": plain, "random cue": add_cue(test_images, cues)}
    model, results = build(0), {}
    for name, seeds in trained.items():
        results[name] = []
        for weights in seeds:
            model.set_weights(weights)
            results[name].append(measure(model, tests, truth, cues))
    title = f"{arguments.images} images, {arguments.epochs} epochs, cue in {100 * arguments.share:g} %"
    print_table(title, table_rows(results))


if __name__ == "__main__":
    use_one_thread()
    main()
