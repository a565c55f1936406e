"""Time the maximization of 64 channels by kerasal and by tf-keras-vis' ActivationMaximization, side by side.

    python benchmarks/maximization.py [--layers block1_conv2 block3_conv1] [--share 32] [--rounds 3] [--steps 20]

The model is VGG16 with random weights, and each channel takes ``--steps`` steps from normal noise. The objective is the
channel's mean, without regularizers and transforms in both packages. tf-keras-vis gets the layers up to the one that is
maximized and one channel per call, as its users do, and on the small canvas also all 64 in one call. On 224 × 224 both
maximize only every ``--share``-th channel, and their time is multiplied. Rounds are interleaved; a ratio is the median
over rounds of tf-keras-vis' time divided by kerasal's in the same round. There are three comparisons:

  automatic   tf-keras-vis on 224 × 224, because it uses the model as it is; kerasal with canvas="auto"
  full        both on the canvas of the model's input, 224 × 224
  small       both on the automatic canvas, for tf-keras-vis with a copy of the layers for this size
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.utils.scores import CategoricalScore

import kerasal
from kerasal import objectives

import keras

CHANNELS = 64


def run_tf_keras_vis(model, layer, shape, channels, steps, per_call):
    """Return a function that maximizes the channels with tf-keras-vis, on images of a shape."""
    below = keras.Model(model.inputs, model.get_layer(layer).output)
    copy = keras.models.clone_model(below, input_tensors=[keras.Input(shape)])
    copy.set_weights(below.get_weights())
    loop = ActivationMaximization(copy, clone=False)
    seeds = np.random.default_rng(0).normal(size=(per_call, *shape)).astype(np.float32)

    def run(steps=steps):
        for i in range(0, len(channels), per_call):
            score = CategoricalScore(channels[i : i + per_call])
            options = {"input_modifiers": [], "regularizers": [], "input_range": (-128, 128)}
            loop(score, seed_input=seeds, steps=steps, **options)

    return run


def run_kerasal(model, layer, channels, steps, canvas):
    targets = [objectives.channel(layer, i) for i in channels]
    return lambda steps=steps: kerasal.maximize(model, targets, preprocessing="caffe", steps=steps, canvas=canvas)


def contenders(model, layer, options):
    """Return the side of the small canvas, and {name: (run, factor of its time)}."""
    all_channels, some = list(range(CHANNELS)), list(range(0, CHANNELS, options.share))
    result = kerasal.maximize(model, objectives.channel(layer, 0), preprocessing="caffe", steps=1, canvas="auto")
    small = result.raw.shape[1:]
    full = (224, 224, 3)
    return small[0], {
        "kerasal, full": (run_kerasal(model, layer, some, options.steps, "input"), CHANNELS / len(some)),
        "kerasal, small": (run_kerasal(model, layer, all_channels, options.steps, "auto"), 1),
        "tf-keras-vis, full": (run_tf_keras_vis(model, layer, full, some, options.steps, 1), CHANNELS / len(some)),
        "tf-keras-vis, small": (run_tf_keras_vis(model, layer, small, all_channels, options.steps, 1), 1),
        "tf-keras-vis, small, 64 per call": (
            run_tf_keras_vis(model, layer, small, all_channels, options.steps, CHANNELS),
            1,
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", default=["block1_conv2", "block3_conv1"])
    for name, default in (("share", 32), ("rounds", 3), ("steps", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None)
    for layer in options.layers:
        small, runs = contenders(model, layer, options)
        for run, _ in runs.values():  # the first call traces, which is not part of the measurement
            run(steps=1)
        times = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, (run, factor) in runs.items():
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) * factor)
        print_report(layer, small, {name: np.array(values) for name, values in times.items()}, options)


def print_report(layer, small, times, options):
    print(f"\n{layer}: {CHANNELS} channels, {options.steps} steps, {options.rounds} rounds; small is {small} × {small}")
    for name, values in times.items():
        print(f"  {name:32} {np.median(values):8.2f} s")
    for name, kerasal_run, peer_run in (
        ("automatic", "small", "full"),
        ("full", "full", "full"),
        ("small", "small", "small"),
        ("small, 64 per call", "small", "small, 64 per call"),
    ):
        ratio = np.median(times[f"tf-keras-vis, {peer_run}"] / times[f"kerasal, {kerasal_run}"])
        print(f"  {name:17} tf-keras-vis {peer_run} / kerasal {kerasal_run}: {ratio:8.2f}×", flush=True)


if __name__ == "__main__":
    main()
