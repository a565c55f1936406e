"""Time each attribution method against the floor and against tf-keras-vis, side by side in one run.

    python benchmarks/attribution.py [--model vgg16] [--rounds 9] [--images 1]

The floor is one compiled pass that cannot be avoided: the model forward, its logit, and the gradient by the input, on
the same image. Rounds are interleaved (floor, method, method, …, floor, …) because the machine is noisy; each ratio is
the median over rounds of a method's time divided by the floor's in the same round. It also counts
traces over 50 images, watches the memory of the process over 200, and checks that the model is freed.
"""

import argparse
import gc
import os
import pathlib
import sys
import time
import weakref

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from kerasal import attribution
from kerasal.hooks import trace

# Few passes are enough to time one; the ratio is given for each pass.
OPTIONS = {
    "smoothgrad": {"samples": 4},
    "integrated_gradients": {"steps": 3},
    "scorecam": {"channels": 4},
}
PASSES = {"smoothgrad": 4, "integrated_gradients": 4, "crop_averaged_saliency": 10}


def make_model(name):
    application = {"vgg16": keras.applications.VGG16, "mobilenetv2": keras.applications.MobileNetV2}[name]
    keras.utils.set_random_seed(0)
    return application(weights=None)


def make_floor(model):
    """One forward and input-gradient pass as anybody would write it by hand, compiled once."""
    linear = keras.models.clone_model(model)
    linear.set_weights(model.get_weights())
    linear.layers[-1].activation = keras.activations.linear

    @tf.function(input_signature=[tf.TensorSpec((None, 224, 224, 3))])
    def floor(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = linear(x, training=False)[:, 3]
        return tape.gradient(score, x)

    return lambda x: floor(tf.constant(x)).numpy()


def contenders(model, images):
    """Name what is timed; everything takes the images as a NumPy array and gives NumPy back."""
    theirs = Saliency(model, ReplaceToLinear())
    score = CategoricalScore([3] * len(images))
    timed = {"floor": make_floor(model)}
    for name in attribution.list_methods():
        method = getattr(attribution, name)
        try:
            options = OPTIONS.get(name, {})
            method(model, images, 3, **options)
        except ValueError as error:
            print(f"{name}: left out, {error}")
            continue
        timed[name] = lambda x, method=method, options=options: method(model, x, 3, **options)
    timed["tf-keras-vis Saliency"] = lambda x: theirs(score, x, normalize_map=False)
    return timed


def interleave(timed, images, rounds):
    for run in timed.values():  # the first call traces; it is not what is measured
        run(images)
    seconds = {name: [] for name in timed}
    order = list(timed)
    for number in range(rounds):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            start = time.perf_counter()
            timed[name](images)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vgg16", choices=["vgg16", "mobilenetv2"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=1)
    options = parser.parse_args()
    model = make_model(options.model)
    images = np.random.default_rng(0).normal(size=(options.images, 224, 224, 3)).astype(np.float32) * 50
    seconds = interleave(contenders(model, images), images, options.rounds)
    table = Table(
        "", "median ms", "× floor", title=f"{options.model}, {options.images} image(s), {options.rounds} rounds"
    )
    for name, values in seconds.items():
        passes = PASSES.get(name, 1)
        ratio = np.median(values / seconds["floor"]) / passes
        table.add_row(name, str(passes), f"{1000 * np.median(values):.0f}", f"{ratio:.3f}")
    Console().print(table)

    before = len(trace._traces[model])
    for index in range(50):
        attribution.class_saliency(model, images[:1] + index, index)
    print(f"traces before and after 50 more images: {before}, {len(trace._traces[model])}")
    for _ in range(20):
        attribution.class_saliency(model, images[:1], 3)
    start = resident()
    for index in range(200):
        attribution.class_saliency(model, images[:1] + index, index)
    print(f"resident memory before and after 200 more images: {start:.0f} MiB, {resident():.0f} MiB")
    reference = weakref.ref(model)
    seconds.clear()
    del model
    gc.collect()
    print(f"model freed: {reference() is None}")


if __name__ == "__main__":
    main()
