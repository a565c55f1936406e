"""Time the top-5 boxes of one image as a multiple of five gradient passes, and the cut alone.

    python benchmarks/localization.py [--model vgg16] [--rounds 7]

The floor is five compiled forward and gradient passes of the same model, one after the other, one per class. Rounds
are interleaved; a ratio is the median over rounds of a method's time divided by that of the floor in the same round.
The model has random weights, and the image is a photo of the package, 224 × 224. The time of a cut is that of one
class, for the photo and a map with a peak.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from kerasal import images, localization

import keras
import tensorflow as tf

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODELS = {"vgg16": keras.applications.VGG16, "mobilenetv2": keras.applications.MobileNetV2}
CONFIGURATIONS = {
    "tuned": {},
    "class_saliency, tuned cut": {"method": "class_saliency"},
    "class_saliency, the paper's cut": {"recipe": "simonyan", "method": "class_saliency"},
    "class_saliency, the paper's cut at 112": {"recipe": "simonyan", "method": "class_saliency", "resolution": 112},
}


def floor(model):
    """Return a function that computes the gradients of five classes, one by one."""

    @tf.function
    def gradient(x, class_index):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.gather(model(x, training=False), class_index, axis=1)
        return tape.gradient(score, x)

    return lambda x: [gradient(x, tf.constant(index)).numpy() for index in range(5)]


def measure(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="vgg16")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = MODELS[arguments.model](weights=None)
    photo = images.fit_image(images.read(ROOT / "kerasal/assets/cat.jpg"), (224, 224))
    x = tf.constant(np.float32(photo[None]) / 127.5 - 1)
    passes = floor(model)
    runs = {
        name: lambda options=options: localization.localize(
            model, photo, preprocessing="tf", classes=range(5), **options
        )
        for name, options in CONFIGURATIONS.items()
    }
    for function in (*runs.values(), lambda: passes(x)):
        function()  # the first call traces
    ratios_of = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        base = measure(lambda: passes(x))
        for name, function in runs.items():
            ratios_of[name].append(measure(function) / base)
    print(f"{arguments.model}: five gradient passes took {base:.2f} s in the last round")
    for name, ratios in ratios_of.items():
        print(f"  {name:40}{np.median(ratios):5.2f} × five passes ({min(ratios):.2f} – {max(ratios):.2f})")
    y, x = np.mgrid[:224, :224]
    grain = np.random.default_rng(0).gamma(1.0, size=(224, 224))
    values = np.exp(-((x - 100) ** 2 + (y - 110) ** 2) / 5000) * grain
    for name, options in {
        "tuned": {k: v for k, v in localization.RECIPES["tuned"].items() if k != "method"},
        "the paper's, 224": {},
        "the paper's, 112": {"resolution": 112},
        "the paper's, clamped, 224": {"clamp": True},
    }.items():
        seconds, cpu_seconds = [], []
        for _ in range(arguments.rounds):
            start = time.process_time()
            seconds.append(measure(lambda options=options: localization.graphcut(photo, values, **options)))
            cpu_seconds.append(time.process_time() - start)
        milliseconds, cpu_milliseconds = 1000 * np.median(seconds), 1000 * np.median(cpu_seconds)
        print(f"  one cut, {name:28}{milliseconds:6.0f} ms, processor time {cpu_milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
