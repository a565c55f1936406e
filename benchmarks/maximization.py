"""Time the maximisation of a layer's 64 channels against tf-keras-vis' ActivationMaximization, side by side in one run.

    python benchmarks/maximization.py [--layers block1_conv2 block3_conv1] [--share 4] [--rounds 3] [--steps 20]

VGG16 with random weights, one ascent of ``--steps`` steps for each channel from normal noise, objective: the channel's
mean; no regularizers and no transforms on either side. tf-keras-vis ascends every ``--share``-th channel, one a call as
its users do and four a call, which is faster or slower, and its time is multiplied. kerasal ascends all 64. Rounds are
interleaved; the ratio is the median over rounds of theirs / ours in the same round. Three ways:

  full        both on the canvas that the model declares, 224 × 224
  automatic   tf-keras-vis on 224 × 224, since it takes the model as it is; kerasal with canvas="auto"
  small       both on the automatic canvas, for tf-keras-vis by a copy of the layers below that takes it
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.utils.scores import CategoricalScore

import kerasal
from kerasal import objectives

CHANNELS = 64


def theirs(model, layer, shape, channels, steps, at_once):
    """Return a run of tf-keras-vis' loop over the channels, on the layers up to ``layer`` for images of a shape."""
    below = keras.models.clone_model(
        keras.Model(model.inputs, model.get_layer(layer).output), input_tensors=keras.Input(shape)
    )
    below.set_weights(keras.Model(model.inputs, model.get_layer(layer).output).get_weights())
    loop = ActivationMaximization(below, clone=False)
    seeds = np.random.default_rng(0).normal(size=(at_once, *shape)).astype(np.float32)

    def run():
        for i in range(0, len(channels), at_once):
            some = channels[i : i + at_once]
            loop(
                CategoricalScore(some),
                seed_input=seeds[: len(some)],
                input_range=(-128, 128),
                input_modifiers=[],
                regularizers=[],
                steps=steps,
            )

    return run


def ours(model, layer, steps, canvas):
    wanted = [objectives.channel(layer, i) for i in range(CHANNELS)]
    return lambda: kerasal.maximize(model, wanted, preprocessing="caffe", steps=steps, canvas=canvas)


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", default=["block1_conv2", "block3_conv1"])
    for name, default in (("share", 4), ("rounds", 3), ("steps", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None)
    some = list(range(0, CHANNELS, given.share))
    for layer in given.layers:
        one = kerasal.maximize(model, objectives.channel(layer, 0), preprocessing="caffe", steps=1, canvas="auto")
        small = one.raw.shape[1:]
        runs = {
            "kerasal, 224": (ours(model, layer, given.steps, "input"), 1),
            f"kerasal, {small[0]}": (ours(model, layer, given.steps, "auto"), 1),
        }
        for side, shape in ((224, (224, 224, 3)), (small[0], small)):
            for at_once in (1, 4):
                run = theirs(model, layer, shape, some, given.steps, at_once)
                runs[f"tf-keras-vis, {side}, {at_once} a call"] = (run, CHANNELS / len(some))
        for run, _ in runs.values():  # the first call traces; it is not what is measured
            run()
        times = {name: [] for name in runs}
        for _ in range(given.rounds):
            for name, (run, factor) in runs.items():
                times[name].append(seconds(run) * factor)
        report(layer, small[0], {name: np.array(values) for name, values in times.items()}, given)


def report(layer, small, times, given):
    print(f"\n{layer}, {CHANNELS} channels, {given.steps} steps, {given.rounds} rounds")
    for name, values in times.items():
        print(f"  {name:32} {np.median(values):8.2f} s")
    for way, mine, their in (("full", 224, 224), ("automatic", small, 224), ("small", small, small)):
        for at_once in (1, 4):
            ratio = np.median(times[f"tf-keras-vis, {their}, {at_once} a call"] / times[f"kerasal, {mine}"])
            print(f"  {way:10} kerasal {mine}, tf-keras-vis {their}, {at_once} a call: {ratio:8.2f}×")


if __name__ == "__main__":
    main()
