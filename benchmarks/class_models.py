"""Make the class models of Simonyan et al. 2013 (section 2, figure 1) by the recipe, and compare score and posterior.

    python benchmarks/class_models.py LITE0.keras SQUEEZENET.keras --mnist mnist.npz -o FOLDER

An image is maximized for each of six ImageNet classes, on EfficientNet-Lite0 and SqueezeNet, and for each digit, on
the mnist_cnn of the package: preset "simonyan", from the zero image, with L2 alone, and the training mean added to the
result. The mean of the two ImageNet models is the color that their preprocessing subtracts. mnist_cnn subtracts none,
so it gets a layer that adds the mean image of its training set: its zero image is then the mean image. Its gradients
agree from step to step, so its images would be black and white alone: they have steps of 1 gray level, 200 of them, and
ten times the λ.

The objective is the score before the softmax, or the posterior after it, of which the paper reports that its images
show less. Step, number of steps and λ are the same for both, and the gradient is scaled to RMS 1 in both, so that the
posterior is not at a disadvantage because its gradient is small.

For each image the table has, as means over classes with 95 % bootstrap intervals:

    score             S_c of the image minus S_c of the zero image
    others            the same of the other classes, as log Σ exp S_k over k ≠ c; score - others is the change in the
                      log-odds of the class, so this is what the image gains by lowering the other classes
    posterior         P_c
    RMS               of the image before the mean is added, in gray levels (0..255)
    coarse            share of its energy in waves of 8 pixels and more (4 for the digits)
    recognized        whether the other ImageNet model has c among its top five for the picture; for digits, whether
                      the image correlates most with the mean image of its own digit (chance .005 and .1)

The last table has the paired differences, posterior minus score. Images are stored in --output, so that a stopped run
continues, and drawn there as class-models.jpg and digits.jpg.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dataclasses

import numpy as np
import pandas as pd

import kerasal
from kerasal import hooks, images, preprocessing
from kerasal.files import atomic_write
from kerasal.maximization import L2
from kerasal.metrics.summary import summarize

import keras
import tensorflow as tf

CLASSES = {
    "ostrich": 9,
    "dalmatian": 251,
    "lemon": 951,
    "bell pepper": 945,
    "computer keyboard": 508,
    "limousine": 627,
}
OBJECTIVES = ("score", "posterior")
DIGITS = {"steps": 200, "step_size": 1.0, "regularizers": (L2(2e-2),)}


@dataclasses.dataclass
class Subject:
    """A model with its classes, and what is added to a maximized input for the picture."""

    name: str
    model: keras.Model
    convention: preprocessing.Preprocessing
    classes: dict[str, int]
    added: np.ndarray | float = 0.0
    wave: int = 8
    options: dict = dataclasses.field(default_factory=dict)


def open_subjects(lite0, squeezenet, mnist) -> tuple[list[Subject], np.ndarray]:
    """Return the three subjects, and the mean image of each digit, (10, 28, 28) in 0..1."""
    subjects = [
        Subject("EfficientNet-Lite0", kerasal.load_model(lite0), "mean=127,std=128", CLASSES),
        Subject("SqueezeNet", kerasal.load_model(squeezenet), "caffe", CLASSES),
    ]
    with np.load(mnist) as data:
        pixels, truth = data["x_train"] / 255.0, data["y_train"]
    mean = pixels.mean(axis=0).astype(np.float32)[..., None]
    classifier = kerasal.create_model("mnist_cnn", weights="kerasal")
    centered = keras.Sequential([keras.Input(mean.shape), AddImage(mean), *classifier.layers], name="mnist_cnn")
    digits = {str(digit): digit for digit in range(10)}
    subjects.append(Subject("mnist_cnn", centered, "unit", digits, mean, 4, DIGITS))
    for subject in subjects:
        subject.convention = preprocessing.get(subject.convention)
    return subjects, np.stack([pixels[truth == digit].mean(axis=0) for digit in range(10)])


@keras.saving.register_keras_serializable("kerasal_benchmarks")
class AddImage(keras.layers.Layer):
    """Adds a fixed image to its input."""

    def __init__(self, image, **options):
        super().__init__(**options)
        self.image = np.asarray(image, np.float32)

    def call(self, inputs):
        return inputs + self.image

    def get_config(self):
        return super().get_config() | {"image": self.image.tolist()}


def make(subject: Subject, objective: str, steps: int | None, folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximized inputs (N, H, W, C), and whether the gradient was zero at every step (N,); store both."""
    options = {**subject.options, **({"steps": steps} if steps else {})}
    steps = options.setdefault("steps", kerasal.maximization.PRESETS["simonyan"]["steps"])
    about = f"{subject.name}-{objective}-{len(subject.classes)}-{steps}-{hooks.digest_model(subject.model)[:8]}"
    file = folder / f"{about}.npz"
    if not file.exists():
        print(f"{subject.name}: maximizing the {objective} of {len(subject.classes)} classes", flush=True)
        result = kerasal.maximize(
            subject.model,
            list(subject.classes.values()),
            preset="simonyan",
            preprocessing=subject.convention,
            logits=objective == "score",
            progress=sys.stderr.isatty(),
            **options,
        )
        with atomic_write(file) as path, path.open("wb") as stream:
            np.savez(stream, raw=result.raw, dead=np.isin(np.arange(len(result.raw)), result.dead))
    with np.load(file) as stored:
        return stored["raw"], stored["dead"]


def pictures(subject: Subject, raw: np.ndarray) -> np.ndarray:
    """Return maximized inputs with the training mean added, uint8 RGB."""
    pixels = np.clip(np.round(subject.convention.invert(raw + subject.added)), 0, 255).astype(np.uint8)
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def scores_of(subject: Subject, inputs: np.ndarray) -> np.ndarray:
    """Return the scores before the softmax, float64 (N, classes)."""
    scores = tf.function(lambda x: hooks.logits(subject.model(x, training=False)), autograph=False)
    return scores(tf.constant(inputs, tf.float32)).numpy().astype(np.float64)


def log_sum_of_others(scores: np.ndarray, class_index: int) -> float:
    """Return log Σ exp S_k over all classes but one."""
    return float(np.logaddexp.reduce(np.delete(scores, class_index)))


def coarse_share(image: np.ndarray, wave: int) -> float:
    """Return the share of the energy of an image (H, W, C) in waves of at least ``wave`` pixels, without its mean."""
    energy = (np.abs(np.fft.fft2(image - image.mean(axis=(0, 1)), axes=(0, 1))) ** 2).sum(axis=2)
    frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, image.shape[:2]), indexing="ij"))
    return float(energy[frequency <= 1 / wave].sum() / max(energy.sum(), 1e-30))


def describe(subject: Subject, raw: np.ndarray, recognized: np.ndarray) -> pd.DataFrame:
    """Return the measures of the maximized inputs, a row per class."""
    after, zero = scores_of(subject, raw), scores_of(subject, np.zeros_like(raw[:1]))[0]
    low, high = subject.convention.value_range()
    rows = {}
    for i, (name, class_index) in enumerate(subject.classes.items()):
        others = log_sum_of_others(after[i], class_index)
        rows[name] = {
            "score": after[i, class_index] - zero[class_index],
            "others": others - log_sum_of_others(zero, class_index),
            "posterior": 1 / (1 + np.exp(others - after[i, class_index])),
            "RMS": float(np.sqrt(np.mean(np.square(raw[i] / ((high - low) / 255))))),
            "coarse": coarse_share(raw[i], subject.wave),
            "recognized": float(recognized[i]),
        }
    return pd.DataFrame(rows).T


def recognized_by(other: Subject, drawn: np.ndarray, classes) -> np.ndarray:
    """Return whether the other model has each picture's class among its top five."""
    size = other.model.input_shape[1:3]
    inputs = other.convention.apply(np.stack([images.resize(picture, size) for picture in drawn]))
    scores = scores_of(other, inputs)
    return (scores > scores[np.arange(len(drawn)), list(classes)][:, None]).sum(axis=1) < 5


def recognized_as_digits(raw: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return whether each digit's image correlates most with the mean image of its own digit, all means left aside."""
    patterns, images_ = (means - means.mean(axis=0)).reshape(10, -1), raw.reshape(len(raw), -1)
    return np.corrcoef(images_, patterns)[: len(raw), len(raw) :].argmax(axis=1) == np.arange(len(raw))


def cells(table: pd.DataFrame, style: str) -> dict[str, str]:
    text = f"{style} [{style}, {style}]"
    return {name: text.format(r["mean"], r["low"], r["high"]) for name, r in summarize(table).iterrows()}


def draw(subjects, raws, names, classes, tile) -> np.ndarray:
    """Return a sheet with a row per model and objective, a column per class."""
    tiles, rows = [], []
    for subject in subjects:
        for objective in OBJECTIVES:
            tiles += list(pictures(subject, raws[subject.name, objective])[: len(classes)])
            rows.append(f"{names[subject.name]} {objective}".strip())
    return images.grid(tiles, column_labels=classes, columns=len(classes), row_labels=rows, tile=tile)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lite0", type=pathlib.Path, help="EfficientNet-Lite0 with its ImageNet weights, .keras")
    parser.add_argument("squeezenet", type=pathlib.Path, help="SqueezeNet 1.1 with its ImageNet weights, .keras")
    parser.add_argument("--mnist", type=pathlib.Path, required=True, help="mnist.npz, for the mean images")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/class-models"))
    parser.add_argument("--small", action="store_true", help="two ImageNet classes and four steps, for a trial")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    subjects, means = open_subjects(options.lite0, options.squeezenet, options.mnist)
    steps = 4 if options.small else None
    if options.small:
        for subject in subjects[:2]:
            subject.classes = dict(list(CLASSES.items())[:2])
    raws, tables, gains = {}, {}, {}
    for number, subject in enumerate(subjects):
        by_objective = {}
        for objective in OBJECTIVES:
            raw, dead = make(subject, objective, steps, options.output)
            raws[subject.name, objective] = raw
            if dead.any():
                print(f"{subject.name}, {objective}: zero gradient for {list(np.array(list(subject.classes))[dead])}")
            if number < 2:
                recognized = recognized_by(subjects[1 - number], pictures(subject, raw), subject.classes.values())
            else:
                recognized = recognized_as_digits(raw, means)
            by_objective[objective] = describe(subject, raw, recognized)
            print(f"\n{subject.name}, {objective}\n{by_objective[objective].round(3).to_string()}")
            tables[subject.name, objective] = cells(by_objective[objective], "{:.2f}")
        gains[subject.name] = cells(by_objective["posterior"] - by_objective["score"], "{:+.2f}")
        if number < 2:
            zero = pictures(subject, np.zeros_like(raw))
            blank = recognized_by(subjects[1 - number], zero, subject.classes.values()).mean()
            print(f"the zero image, classified by {subjects[1 - number].name}: {blank:.2f} among the top five")
    print("\nMeans over classes [95 % interval]\n" + pd.DataFrame(tables).T.to_string())
    print("\nPosterior minus score, paired\n" + pd.DataFrame(gains).T.to_string())
    names = {"EfficientNet-Lite0": "Lite0,", "SqueezeNet": "SqueezeNet,", "mnist_cnn": ""}
    sheet = draw(subjects[:2], raws, names, list(subjects[0].classes), 150)
    images.write(options.output / "class-models.jpg", sheet)
    images.write(options.output / "digits.jpg", draw(subjects[2:], raws, names, list(subjects[2].classes), 84))
    return pd.concat({key: pd.Series(value) for key, value in tables.items()}, axis=1).T


if __name__ == "__main__":
    main()
