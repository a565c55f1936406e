"""Time top-5 boxes of one image against five gradient passes, and the cut itself, side by side in one run.

    python benchmarks/localization.py [--model vgg16] [--rounds 7]

The floor is five compiled forward-and-gradient passes of the same model, one a class, one after the other. Rounds are
interleaved; a ratio is the median over rounds of a way's time to the floor's of the same round. Random weights, a
photograph that ships, 224 × 224. A cut's time is that of one class, on the photograph and a real map.
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
WAYS = {
    "tuned": {},
    "class_saliency, tuned cut": {"method": "class_saliency"},
    "class_saliency, the paper's cut": {"recipe": "simonyan", "method": "class_saliency"},
    "class_saliency, the paper's cut at 112": {"recipe": "simonyan", "method": "class_saliency", "resolution": 112},
}


def floor(model):
    """Return a function that takes the gradients of five classes, one by one."""

    @tf.function
    def gradient(x, number):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.gather(model(x, training=False), number, axis=1)
        return tape.gradient(score, x)

    return lambda x: [gradient(x, tf.constant(number)).numpy() for number in range(5)]


def timed(function):
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
    photograph = images.fit_image(images.read(ROOT / "kerasal/assets/cat.jpg"), (224, 224))
    x = tf.constant(np.float32(photograph[None]) / 127.5 - 1)
    passes = floor(model)
    ways = {
        name: lambda how=how: localization.localize(model, photograph, preprocessing="tf", classes=range(5), **how)
        for name, how in WAYS.items()
    }
    for function in (*ways.values(), lambda: passes(x)):
        function()  # traces
    found = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        base = timed(lambda: passes(x))
        for name, function in ways.items():
            found[name].append(timed(function) / base)
    print(f"{arguments.model}: five gradient passes took {base:.2f} s in the last round")
    for name, ratios in found.items():
        print(f"  {name:40}{np.median(ratios):5.2f} × five passes ({min(ratios):.2f} – {max(ratios):.2f})")
    y, x = np.mgrid[:224, :224]
    grain = np.random.default_rng(0).gamma(1.0, size=(224, 224))
    values = np.exp(-((x - 100) ** 2 + (y - 110) ** 2) / 5000) * grain
    for name, how in {
        "tuned": {k: v for k, v in localization.RECIPES["tuned"].items() if k != "method"},
        "the paper's, 224": {},
        "the paper's, 112": {"resolution": 112},
        "the paper's, clamped, 224": {"clamp": True},
    }.items():
        wall, cpu = [], []
        for _ in range(arguments.rounds):
            start = time.process_time()
            wall.append(timed(lambda how=how: localization.graphcut(photograph, values, **how)))
            cpu.append(time.process_time() - start)
        print(f"  one cut, {name:28}{1000 * np.median(wall):6.0f} ms, of the processor {1000 * np.median(cpu):.0f} ms")


if __name__ == "__main__":
    main()
