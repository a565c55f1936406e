"""Time tf-keras-vis' classes beside ``kerasal.compat.tf_keras_vis``, which takes the same arguments.

    python benchmarks/tf_keras_vis_classes.py [--models VGG16 MobileNetV2] [--classes Saliency Gradcam …] [--rounds 5]

The models have random weights, the input is one image of 224 × 224, and the score is a class under ``ReplaceToLinear``.
Saliency is timed without and with noise (``--samples``). Score-CAM uses ``--channels`` channels (``max_N``), and an
ascent takes ``--steps`` steps with the default regularizers and input modifiers. The packages take turns in each round.
A row has the median time of each per call of an instance, and the median over rounds of the ratio of both; above 1,
kerasal is faster. "first" is the time of making an instance and of its first call: tf-keras-vis clones the model there,
and kerasal compiles it, once per model.
"""

import argparse
import importlib
import os
import pathlib
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

import keras

PLACES = {
    "Saliency": "saliency",
    "Gradcam": "gradcam",
    "GradcamPlusPlus": "gradcam_plus_plus",
    "Layercam": "layercam",
    "Scorecam": "scorecam",
    "ActivationMaximization": "activation_maximization",
}


def make_calls(name, model, samples, channels, steps):
    """Yield (row, ours, theirs): functions that make an instance and return a function that calls it."""
    image = np.random.default_rng(0).normal(0, 50, (1, 224, 224, 3)).astype(np.float32)
    options = {"": {}}
    if name == "Saliency":
        options = {"": {}, f", {samples} samples": {"smooth_samples": samples}}
    elif name == "Scorecam":
        options = {f", {channels} channels": {"max_N": channels}}
    elif name == "ActivationMaximization":
        options = {f", {steps} steps": {"steps": steps, "seed_input": image}}

    def bind(package, arguments):
        cls = getattr(importlib.import_module(f"{package}.{PLACES[name]}"), name)

        def make():
            instance = cls(model, model_modifier=ReplaceToLinear(), clone=True)
            return lambda: instance(CategoricalScore(9), **{"seed_input": image, **arguments})

        return make

    for what, arguments in options.items():
        yield name + what, bind("kerasal.compat.tf_keras_vis", arguments), bind("tf_keras_vis", arguments)


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["VGG16", "MobileNetV2"])
    parser.add_argument("--classes", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # tf-keras-vis passes lists to models that take a tensor
    print("| model | class | tf-keras-vis | kerasal | ratio | lowest, highest | first: tf-keras-vis, kerasal |")
    print("|---|---|---|---|---|---|---|")
    for model_name in args.models:
        keras.utils.set_random_seed(0)
        model = getattr(keras.applications, model_name)(weights=None)
        for name in args.classes:
            for row, ours, theirs in make_calls(name, model, args.samples, args.channels, args.steps):
                calls, first = [], []
                for make in (theirs, ours):
                    start = time.perf_counter()
                    calls.append(make())
                    calls[-1]()
                    first.append(time.perf_counter() - start)
                times = np.array([[timed(call) for call in calls] for _ in range(args.rounds)])
                ratios = times[:, 0] / times[:, 1]
                peer, mine = np.median(times, axis=0)
                print(
                    f"| {model_name} | {row} | {peer:.2f} s | {mine:.2f} s | {np.median(ratios):.1f} | "
                    f"{ratios.min():.1f}, {ratios.max():.1f} | {first[0]:.1f} s, {first[1]:.1f} s |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
