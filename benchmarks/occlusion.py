"""Time occlusion in parts, which computes only what a window changes, and occlusion of whole images.

    python benchmarks/occlusion.py [--model vgg16] [--size 224] [--window 32] [--stride 8] [--rounds 5] [--share 1]

Rounds are interleaved (in parts, whole, in parts, …); the ratio is the median over rounds of whole / in parts in the
same round. ``--share 4`` takes every fourth window of each axis (a stride four times as large), because a ratio needs
no full map. "arithmetic" is the ratio of multiplications, the largest possible gain if only arithmetic takes time.
Whole images are timed as kerasal runs them (in small batches, the fastest on a CPU), and also with a plain
``tf.function`` in batches of 2 and of 16, so that the comparison is fair. ``--net`` is another name of ``--model``.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from kerasal import attribution
from kerasal.attribution.window_replay.replay_plan import make_plan
from kerasal.attribution.window_replay.windows import place

import keras
import tensorflow as tf


def squeezenet(input_shape):
    """Return SqueezeNet 1.1 (Iandola et al. 2016), which ``keras.applications`` does not have."""
    L = keras.layers
    image = keras.Input(input_shape)
    x = L.MaxPooling2D(3, 2)(L.Conv2D(64, 3, 2, activation="relu")(image))
    for number, (squeezed, expanded) in enumerate(
        ((16, 64),) * 2 + ((32, 128),) * 2 + ((48, 192),) * 2 + ((64, 256),) * 2
    ):
        if number in (2, 4):
            x = L.MaxPooling2D(3, 2)(x)
        x = L.Conv2D(squeezed, 1, activation="relu")(x)
        wide = L.Conv2D(expanded, 3, padding="same", activation="relu")(x)
        x = L.Concatenate()([L.Conv2D(expanded, 1, activation="relu")(x), wide])
    x = L.GlobalAveragePooling2D()(L.Conv2D(1000, 1, activation="relu")(x))
    return keras.Model(image, L.Softmax()(x), name="squeezenet")


def make_model(name, size):
    keras.utils.set_random_seed(0)
    if name == "squeezenet":
        return squeezenet((size, size, 3))
    application = {"vgg16": keras.applications.VGG16, "mobilenetv2": keras.applications.MobileNetV2}[name]
    if name == "vgg16" and size != 224:  # the dense layers need 224; a global pooling replaces them
        return application(weights=None, include_top=False, input_shape=(size, size, 3), pooling="avg")
    return application(weights=None, input_shape=(size, size, 3))


def arithmetic(model, windows):
    """Return the number of multiplications for whole images divided by that in parts."""
    counts = np.zeros(2)

    def trace(image):
        output = model(image, training=False)
        for step in make_plan(image, [output], windows).steps:
            op = step.op
            if op.type not in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
                continue
            kernel = np.prod(op.inputs[1].shape)
            area = 1 if op.type == "MatMul" else np.prod(op.outputs[0].shape[1:3])
            counts[:] += kernel * area, kernel * (step.part.area if step.part else area)
        return output

    tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec((None, *model.input_shape[1:])))
    return counts[0] / counts[1]


def seconds(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", "--net", dest="model", default="vgg16", choices=["vgg16", "mobilenetv2", "squeezenet"]
    )
    for name, default in (("size", 224), ("window", 32), ("stride", 8), ("rounds", 5), ("share", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    model = make_model(options.model, options.size)
    image = np.random.default_rng(0).normal(size=(1, options.size, options.size, 3)).astype(np.float32) * 50
    window_options = {"window": options.window, "stride": options.stride * options.share}
    windows = place(options.size, options.size, options.window, window_options["stride"])
    forward = tf.function(
        lambda x: model(x, training=False),
        autograph=False,
        input_signature=[tf.TensorSpec((None, *image.shape[1:]))],
    )
    runs = {
        "in parts": lambda: attribution.occlusion(model, image, 3, incremental=True, **window_options),
        "whole": lambda: attribution.occlusion(model, image, 3, incremental=False, **window_options),
    }
    batches = {f"forward, batches of {n}": np.repeat(image, n, axis=0) for n in (2, 16)}
    maps = {name: run() for name, run in runs.items()}  # the first call traces
    for batch in batches.values():
        forward(batch)
    times = {name: [] for name in (*runs, *batches)}
    for number in range(options.rounds):
        for name in list(runs) if number % 2 else list(runs)[::-1]:
            times[name].append(seconds(runs[name])[0] / windows.count)
        for name, batch in batches.items():
            times[name].append(seconds(lambda batch=batch: forward(batch).numpy())[0] / len(batch))
    print(
        f"{model.name} {options.size} × {options.size}, window {options.window}, stride {window_options['stride']}:",
        end=" ",
    )
    print(f"{windows.count} windows, {options.rounds} rounds, arithmetic {arithmetic(model, windows):.2f}×")
    for name, values in times.items():
        ratio = np.median(np.array(values) / times["in parts"])
        print(f"  {name:24} {1000 * np.median(values):8.1f} ms per window  {ratio:6.2f}× in parts")
    difference = np.abs(maps["in parts"] - maps["whole"]).max() / np.abs(maps["whole"]).max()
    print(f"  largest difference / largest drop: {difference:.1e}")


if __name__ == "__main__":
    main()
