"""Run each call of tf-keras-vis' documentation notebooks there, in the drop-in and in kerasal itself.

    python benchmarks/tf_keras_vis_notebooks.py [--model VGG16] [--steps 10] [--channels 32] [--rounds 3]

The notebooks are attentions, visualize_dense_layer and visualize_conv_filters; the photos are three of this package,
and the model has random weights, so that nothing is downloaded. Score-CAM uses ``--channels`` channels and an ascent
takes ``--steps`` steps, in all packages. A row has the largest difference between tf-keras-vis and the drop-in relative
to the largest value, and the median time of a call of each, after a first call, whose rounds are interleaved. The
results of kerasal's own functions are raw maps or use other recipes, so that only their time is listed.
"""

import argparse
import functools
import os
import pathlib
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

import kerasal
from kerasal import attribution, objectives

import keras
import tensorflow as tf

CLASSES, FILTERS = [1, 294, 413], [63, 132, 320]


def read_inputs(size=224):
    """Return three photos of the package, preprocessed as VGG16 takes them."""
    folder = pathlib.Path(kerasal.__file__).parent / "assets"
    photos = [kerasal.images.read(folder / f"{name}.jpg") for name in ("cat", "coffee", "rocket")]
    return kerasal.preprocessing.get("caffe").apply(
        np.stack([kerasal.images.fit_image(photo, (size, size)) for photo in photos])
    )


def attentions(model, inputs, channels):
    """Yield (call, the visualization's name, its arguments, kerasal's own call)."""
    yield "saliency(score, X)", "saliency.Saliency", {}, lambda: attribution.class_saliency(model, inputs, CLASSES)
    yield (
        "saliency(score, X, smooth_samples=20, smooth_noise=0.20)",
        "saliency.Saliency",
        {"smooth_samples": 20, "smooth_noise": 0.20},
        lambda: attribution.smoothgrad(model, inputs, CLASSES, samples=20, noise=0.2),
    )
    for name, method in (("gradcam.Gradcam", "gradcam"), ("gradcam_plus_plus.GradcamPlusPlus", "gradcam_plus_plus")):
        run = getattr(attribution, method)
        yield (
            f"{method.replace('_plus_plus', '')}(score, X, penultimate_layer=-1)",
            name,
            {"penultimate_layer": -1},
            lambda run=run: run(model, inputs, CLASSES),
        )
    yield (
        f"scorecam(score, X, penultimate_layer=-1, max_N={channels})",
        "scorecam.Scorecam",
        {"penultimate_layer": -1, "max_N": channels},
        lambda: attribution.scorecam(model, inputs, CLASSES, channels=channels, logits=False),
    )
    yield "layercam(score, X)", "layercam.Layercam", {}, lambda: attribution.layercam(model, inputs, CLASSES)


def maximizations(model, layer, filters, steps):
    """Yield (call, modifiers, score, inputs to start from, kerasal's own call)."""
    options = {"steps": steps, "preset": "channel", "preprocessing": "caffe"}
    shape = (len(CLASSES), *model.inputs[0].shape[1:])
    start = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    linear, extract = ReplaceToLinear(), ExtractIntermediateLayer(index_or_name=layer)

    def maximize(objective):
        return lambda: kerasal.maximize(model, objective, **options)

    channels = [objectives.channel(layer, number) for number in filters]
    yield "activation_maximization(CategoricalScore(20))", linear, 20, start[:1], maximize(20)
    yield "activation_maximization(scores, seed_input=seed_input)", linear, CLASSES, start, maximize(CLASSES)
    both = [extract, linear]
    yield "activation_maximization(CategoricalScore(3)), a filter", both, 3, start[:1], maximize(channels[0])
    yield "activation_maximization(scores, seed_input=…), filters", both, filters, start, maximize(channels)


def load(package, name):
    """Return a class of a package by the name of its module and its own."""
    place, _, cls = name.rpartition(".")
    return getattr(__import__(f"{package}.{place}", fromlist=[cls]), cls)


def run_calls(model, inputs, *, layer="block5_conv3", filters=FILTERS, channels=32, steps=10, rounds=3):
    """Yield (call, difference, seconds of tf-keras-vis, of the drop-in, of kerasal)."""
    calls = []
    for call, name, arguments, own in attentions(model, inputs, channels):
        calls.append((call, name, ReplaceToLinear(), CLASSES, {"seed_input": inputs, **arguments}, own))
    for call, modifiers, score, start, own in maximizations(model, layer, filters, steps):
        arguments = {"seed_input": start, "steps": steps, "input_modifiers": None}
        name = "activation_maximization.ActivationMaximization"
        calls.append((call, name, modifiers, score, arguments, own))
    for call, name, modifiers, score, arguments, own in calls:
        packages = ("tf_keras_vis", "kerasal.compat.tf_keras_vis")
        instances = [load(package, name)(model, model_modifier=modifiers) for package in packages]
        runs = [functools.partial(one, CategoricalScore(score), **arguments) for one in instances] + [own]
        results = []
        for run in runs:
            np.random.seed(0)  # noqa: NPY002  (the generator of tf-keras-vis)
            tf.random.set_seed(0)
            results.append(run())
        theirs, ours = map(np.asarray, results[:2])
        times = np.array([[timed(run) for run in runs] for _ in range(rounds)])
        yield call, np.abs(ours - theirs).max() / np.abs(theirs).max(), *np.median(times, axis=0)


def timed(run):
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="VGG16")
    parser.add_argument("--layer", default="block5_conv3")
    for name, default in (("steps", 10), ("channels", 32), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # tf-keras-vis passes lists to models that take a tensor
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, args.model)(weights=None)
    options = {"layer": args.layer, "steps": args.steps, "channels": args.channels, "rounds": args.rounds}
    print("| call | difference | tf-keras-vis | drop-in | kerasal |\n|---|---|---|---|---|")
    for call, difference, *seconds in run_calls(model, read_inputs(), **options):
        print(f"| `{call}` | {difference:.0e} | {' | '.join(f'{value:.2f} s' for value in seconds)} |", flush=True)


if __name__ == "__main__":
    main()
