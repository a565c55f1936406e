"""Time the maximization of a layer's 64 channels against tf-keras-vis' ActivationMaximization, side by side in one run.

    python benchmarks/maximization.py [--layers block1_conv2 block3_conv1] [--share 32] [--rounds 3] [--steps 20]

VGG16 with random weights, an ascent of ``--steps`` steps for each channel from normal noise, objective: the channel's
mean; no regularizers and no transforms on either side. tf-keras-vis gets the layers up to the one in question, one
channel a call, as its users do, and on the small canvas also all 64 in one call. On 224 × 224 both ascend only every
``--share``-th channel, and their time is multiplied. Rounds are interleaved; a ratio is the median over rounds of
theirs / ours in the same round. Three comparisons:

  automatic   tf-keras-vis on 224 × 224, since it takes the model as it is; kerasal with canvas="auto"
  full        both on the canvas that the model declares, 224 × 224
  small       both on the automatic canvas, for tf-keras-vis by a copy of the layers that takes it
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


def theirs(model, layer, shape, channels, steps, at_once):
    """Return a run of tf-keras-vis' loop over the channels, on the layers up to ``layer`` for images of a shape."""
    below = keras.Model(model.inputs, model.get_layer(layer).output)
    copy = keras.models.clone_model(below, input_tensors=[keras.Input(shape)])
    copy.set_weights(below.get_weights())
    loop = ActivationMaximization(copy, clone=False)
    seeds = np.random.default_rng(0).normal(size=(at_once, *shape)).astype(np.float32)

    def run(steps=steps):
        for i in range(0, len(channels), at_once):
            score = CategoricalScore(channels[i : i + at_once])
            bare = {"input_modifiers": [], "regularizers": [], "input_range": (-128, 128)}
            loop(score, seed_input=seeds, steps=steps, **bare)

    return run


def ours(model, layer, channels, steps, canvas):
    wanted = [objectives.channel(layer, i) for i in channels]
    return lambda steps=steps: kerasal.maximize(model, wanted, preprocessing="caffe", steps=steps, canvas=canvas)


def contenders(model, layer, given):
    """Return the small shape and, by name, each run and by what its time is multiplied."""
    every, some = list(range(CHANNELS)), list(range(0, CHANNELS, given.share))
    one = kerasal.maximize(model, objectives.channel(layer, 0), preprocessing="caffe", steps=1, canvas="auto")
    small = one.raw.shape[1:]
    full = (224, 224, 3)
    return small[0], {
        "kerasal, full": (ours(model, layer, some, given.steps, "input"), CHANNELS / len(some)),
        "kerasal, small": (ours(model, layer, every, given.steps, "auto"), 1),
        "tf-keras-vis, full": (theirs(model, layer, full, some, given.steps, 1), CHANNELS / len(some)),
        "tf-keras-vis, small": (theirs(model, layer, small, every, given.steps, 1), 1),
        "tf-keras-vis, small, 64 a call": (theirs(model, layer, small, every, given.steps, CHANNELS), 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", default=["block1_conv2", "block3_conv1"])
    for name, default in (("share", 32), ("rounds", 3), ("steps", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None)
    for layer in given.layers:
        small, runs = contenders(model, layer, given)
        for run, _ in runs.values():  # the first call traces; it is not what is measured
            run(steps=1)
        times = {name: [] for name in runs}
        for _ in range(given.rounds):
            for name, (run, factor) in runs.items():
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) * factor)
        report(layer, small, {name: np.array(values) for name, values in times.items()}, given)


def report(layer, small, times, given):
    print(f"\n{layer}: {CHANNELS} channels, {given.steps} steps, {given.rounds} rounds; small is {small} × {small}")
    for name, values in times.items():
        print(f"  {name:32} {np.median(values):8.2f} s")
    for way, mine, their in (
        ("automatic", "small", "full"),
        ("full", "full", "full"),
        ("small", "small", "small"),
        ("small, 64 a call", "small", "small, 64 a call"),
    ):
        ratio = np.median(times[f"tf-keras-vis, {their}"] / times[f"kerasal, {mine}"])
        print(f"  {way:17} kerasal {mine}, tf-keras-vis {their}: {ratio:8.2f}×", flush=True)


if __name__ == "__main__":
    main()
