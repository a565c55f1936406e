"""Time each attribution method, and those of other packages, as multiples of one gradient pass.

    python benchmarks/attribution.py [--model vgg16|mobilenetv2] [--rounds 7] [--images 1] [--only METHOD ...]
    python benchmarks/attribution.py --memory [--model vgg16|mobilenetv2]
    python benchmarks/attribution.py --check [--rounds 200]

The floor is one compiled pass that every gradient method needs: the model forward, its logit, and the gradient with
respect to the input, for the same image. The time of a method is divided by its number of passes. Because the machine
is noisy, the floor is timed again before each method, the order changes from round to round, and each ratio is the
median over the rounds of a method's time divided by that of the floor just before it. captum runs on PyTorch, so its
floor is PyTorch's. Afterwards the script counts traces over 50 images, prints the memory of the process over 200, and
checks that the model is freed. ``--only`` times kerasal's methods of these names, which leaves time for many rounds.

``--memory``: the peak memory that TensorFlow allocates during SmoothGrad and integrated gradients with 8 and 32
samples, above the memory that was allocated before. (The size of the process is less useful, because TensorFlow does
not return memory to the system.)

``--check``: the time in which a call checks that the model has not changed since it was traced, for EfficientNetB0 and
the two models.
"""

import argparse
import functools
import gc
import os
import pathlib
import sys
import time
import warnings
import weakref

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import attribution_peers
import numpy as np
from rich.console import Console
from rich.table import Table

from kerasal import attribution, hooks
from kerasal.hooks import trace

import keras
import tensorflow as tf

# A few passes are enough to time a single pass.
SAMPLES = attribution_peers.SAMPLES
OPTIONS = {
    "smoothgrad": {"samples": SAMPLES},
    "integrated_gradients": {"steps": SAMPLES - 1},  # both ends of the path need a pass
    "scorecam": {"channels": 4},
}
PASSES = {"smoothgrad": SAMPLES, "integrated_gradients": SAMPLES, "crop_averaged_saliency": 10}
EXCLUDED = ("occlusion",)  # no gradient but hundreds of forward passes: see benchmarks/occlusion.py
# Methods over attentions are in benchmarks/attention.py.


def make_model(name):
    application = {"vgg16": keras.applications.VGG16, "mobilenetv2": keras.applications.MobileNetV2}[name]
    keras.utils.set_random_seed(0)
    return application(weights=None)


def make_linear(model):
    """Return the same model without its softmax, for packages that explain the output of the model."""
    linear = keras.models.clone_model(model)
    linear.set_weights(model.get_weights())
    linear.layers[-1].activation = keras.activations.linear
    return linear


def choose_class(model, images):
    """Return the first class whose Grad-CAM is not 0: for a map of zeros, kerasal also looks for the cause."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", attribution.ZeroMap)
        return next(index for index in range(50) if attribution.gradcam(model, images, index).any())


def make_floor(linear, target=3):
    """Return one compiled forward and gradient pass, written by hand."""

    @tf.function(input_signature=[tf.TensorSpec((None, 224, 224, 3))])
    def floor(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = linear(x, training=False)[:, target]
        return tape.gradient(score, x)

    return floor


def contenders(model, images, only=()):
    """Return {(package, method): (passes, run)}; every run takes a NumPy array and returns one."""
    linear = make_linear(model)
    target = choose_class(model, images)
    floor = make_floor(linear, target)
    timed = {("TensorFlow", "floor"): (1, lambda: floor(tf.constant(images)).numpy())}
    for name in attribution.list_methods():
        if name in EXCLUDED or attribution.method_spec(name).needs or (only and name not in only):
            continue
        method, options = getattr(attribution, name), OPTIONS.get(name, {})
        timed["kerasal", name] = (
            PASSES.get(name, 1),
            lambda method=method, options=options: method(model, images, target, **options),
        )
    for package, name, passes, run in () if only else attribution_peers.contenders(linear, images, target):
        timed["PyTorch" if name == "floor" else package, name] = passes, run
    return timed


def interleave(timed, rounds):
    """Return {contender: seconds (rounds, 2)}: of the floor just before it, and of one of its passes."""
    order = []
    for key, (_, run) in timed.items():
        try:
            run()  # the first call traces, which is not part of the measurement
            order.append(key)
        except Exception as error:  # other packages raise errors of any kind on some models
            print(f"{key[1]} of {key[0]} is skipped: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
    pairs = {key: [] for key in order}
    for number in range(rounds):
        for key in order[number % len(order) :] + order[: number % len(order)]:
            floor, (passes, run) = timed[floor_key(key)][1], timed[key]
            pairs[key].append((seconds(floor), seconds(run) / passes))
        print(f"\rround {number + 1} of {rounds}", end="\n" if number + 1 == rounds else "", flush=True)
    return {key: np.array(values) for key, values in pairs.items()}


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def floor_key(key):
    return "PyTorch" if key[0] in ("PyTorch", "captum") else "TensorFlow", "floor"


def print_times(name, pairs, timed, rounds):
    table = Table("package", "method", "passes", "ms per pass", "× floor", title=f"{name}, {rounds} rounds")
    for key, values in pairs.items():
        ratio = np.median(values[:, 1] / values[:, 0])
        table.add_row(*key, str(timed[key][0]), f"{1000 * np.median(values[:, 1]):.0f}", f"{ratio:.3f}")
    Console(width=100).print(table)


def resident_memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def check_reuse(model, image):
    """Print the number of graphs before and after 50 more images, and the memory before and after 200 more."""
    before = len(trace.traces(model))
    for index in range(50):
        attribution.class_saliency(model, image + index, index)
    print(f"traces before and after 50 more images: {before}, {len(trace.traces(model))}")
    for _ in range(20):
        attribution.class_saliency(model, image, 3)
    start = resident_memory()
    for index in range(200):
        attribution.class_saliency(model, image + index, index)
    print(f"resident memory before and after 200 more images: {start:.0f} MiB, {resident_memory():.0f} MiB")


def peak_memory(run):
    """Return the peak of the memory that TensorFlow allocates during a run, in MiB above the memory before it."""
    run()  # traces
    gc.collect()
    before = tf.config.experimental.get_memory_info("CPU:0")["current"]
    tf.config.experimental.reset_memory_stats("CPU:0")
    run()
    return (tf.config.experimental.get_memory_info("CPU:0")["peak"] - before) / 2**20


def print_memory(name):
    table = Table("package", "method", "samples", "peak MiB", title=f"{name}, one image")
    model, images = make_model(name), np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32) * 50
    linear = make_linear(model)
    floor = make_floor(linear)
    table.add_row("TensorFlow", "floor", "1", f"{peak_memory(lambda: floor(tf.constant(images)).numpy()):.0f}")
    for samples in (8, 32):
        attribution_peers.SAMPLES = samples
        options = {"smoothgrad": {"samples": samples}, "integrated_gradients": {"steps": samples - 1}}
        runs = [
            ("kerasal", name, functools.partial(getattr(attribution, name), model, images, 3, **arguments))
            for name, arguments in options.items()
        ]
        runs += [
            (package, method, run)
            for package, method, _, run in attribution_peers.contenders(linear, images, 3)
            if method in options and package not in ("PyTorch", "captum")
        ]
        for package, method, run in runs:
            table.add_row(package, method, str(samples), f"{peak_memory(run):.0f}")
    Console(width=100).print(table)


def print_check(rounds):
    """Print the milliseconds of the check that a model has not changed since it was traced."""
    table = Table("model", "layers", "ms, median", "smallest", "largest")
    for make in (keras.applications.EfficientNetB0, keras.applications.MobileNetV2, keras.applications.VGG16):
        model = make(weights=None)
        snapshot = hooks.Snapshot(model)
        times = sorted(1000 * seconds(snapshot.holds) for _ in range(rounds))
        values = (times[rounds // 2], times[0], times[-1])
        table.add_row(model.name, str(len(hooks.layers(model))), *(f"{value:.2f}" for value in values))
    Console(width=100).print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vgg16", choices=["vgg16", "mobilenetv2"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=(), choices=attribution.list_methods(), metavar="METHOD")
    parser.add_argument("--memory", action="store_true", help="measure the peak memory instead of the time")
    parser.add_argument("--check", action="store_true", help="measure the check for stale traces")
    options = parser.parse_args()
    if options.memory:
        print_memory(options.model)
    elif options.check:
        print_check(options.rounds)
    else:
        measure(options)


def measure(options):
    model = make_model(options.model)
    images = np.random.default_rng(0).normal(size=(options.images, 224, 224, 3)).astype(np.float32) * 50
    timed = contenders(model, images, options.only)
    pairs = interleave(timed, options.rounds)
    print_times(f"{options.model}, {options.images} image(s)", pairs, timed, options.rounds)
    check_reuse(model, images[:1])
    reference = weakref.ref(model)
    del model, timed
    gc.collect()
    print(f"model freed: {reference() is None}")


if __name__ == "__main__":
    main()
