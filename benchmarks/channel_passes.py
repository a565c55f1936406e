"""Time Score-CAM and Ablation-CAM with several channels per pass, with one, and their forward passes alone.

    python benchmarks/channel_passes.py [--model resnet50v2] [--size 224] [--channels 64] [--rounds 5]

Rounds are interleaved (batched, one, floor, batched, …), and a ratio is the median over rounds of one / batched, or of
batched / floor, in the same round. The floor is the same number of forward passes of the whole model in a compiled
loop, in batches as large as those of Score-CAM. Ablation-CAM runs only what follows the layer.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import sys
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from occlusion import squeezenet

from kerasal import attribution
from kerasal.hooks.model_inputs import chunk_size

import keras
import tensorflow as tf

MODELS = {
    "squeezenet": squeezenet,
    "resnet50v2": lambda shape: keras.applications.ResNet50V2(weights=None, input_shape=shape),
}


def forward_passes(model, image, count):
    """Return a function that runs ``count`` forward passes in a compiled loop."""
    rows = chunk_size([image])

    def run(x):
        batch = tf.repeat(x, rows, axis=0)

        def body(number, total):
            return number + rows, total + tf.reduce_sum(model(batch + total * 0, training=False))

        start = tf.constant(0), tf.constant(0.0)
        return tf.while_loop(lambda number, _: number < count, body, start, parallel_iterations=1)[1]

    compiled = tf.function(run, autograph=False)
    return lambda: compiled(tf.constant(image)).numpy()


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="squeezenet", choices=list(MODELS))
    for name, default in (("size", 224), ("channels", 64), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    shape = options.size, options.size, 3
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    models = {kind: MODELS[options.model](shape) for kind in ("batched", "one")}  # each has traces of its own
    models["one"].set_weights(models["batched"].get_weights())
    runs, maps = {}, {}
    for kind, model in models.items():
        one = mock.patch("kerasal.attribution.channel_scores.chunk_size", lambda tensors: 1)
        with one if kind == "one" else contextlib.nullcontext():
            for name in ("scorecam", "ablationcam"):
                method = functools.partial(getattr(attribution, name), model, image, resize=False)
                runs[name, kind] = functools.partial(method, channels=options.channels)
                maps[name, kind] = runs[name, kind]()  # the first call traces
    runs["floor", ""] = forward_passes(models["batched"], image, options.channels)
    runs["floor", ""]()
    times = {name: [] for name in runs}
    for number in range(options.rounds):
        for name in list(runs)[:: 1 if number % 2 else -1]:
            times[name].append(seconds(runs[name]))
    floor = np.array(times["floor", ""])
    print(f"{options.model} at {options.size}: {options.channels} forward passes take {np.median(floor):.2f} s")
    print("| method | one channel per pass, s | several, s | ratio [min, max] | several / passes | difference |")
    print("|---" * 6 + "|")
    for name in ("scorecam", "ablationcam"):
        batched, one = (np.array(times[name, kind]) for kind in ("batched", "one"))
        difference = np.abs(maps[name, "batched"] - maps[name, "one"]).max() / np.abs(maps[name, "one"]).max()
        ratios = one / batched
        print(
            f"| {name} | {np.median(one):.2f} | {np.median(batched):.2f} | {np.median(ratios):.2f} "
            f"[{ratios.min():.2f}, {ratios.max():.2f}] | {np.median(batched / floor):.2f} | {difference:.0e} |"
        )


if __name__ == "__main__":
    main()
