"""Time methods on a transformer against one compiled pass, interleaved; print medians and ratios.

    python benchmarks/attention.py PATH/dinov2_small.py [--rounds 15] [--images 1] [--only NAME ...]

The file defines ``dinov2_small(image_size)``, a vision transformer of Keras layers whose output are its tokens. A dense
layer of ten classes is put on the class token. Reading attention is timed against one forward pass, everything else,
such as class activation maps, against one forward and gradient pass, and class activation maps once more against one
that ends at the layer whose channels they weight. In each round both run one after the other; the ratio is the median
of the ratios of the rounds.
"""

import argparse
import importlib.util
import time

import numpy as np

from kerasal import attribution

import keras
import tensorflow as tf

SIZE = (224, 224)
CLASS = 3
LATE = "block11_norm1"


def make_model(path):
    """Return the transformer of a file with a linear head of random weights on its class token."""
    spec = importlib.util.spec_from_file_location("transformer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    backbone = module.dinov2_small(SIZE)
    keras.utils.set_random_seed(0)
    return keras.Model(backbone.input, keras.layers.Dense(10)(backbone.output[:, 0]))


def make_passes(model):
    """Return compiled passes, written by hand: forward, with the gradient by the input, with that by a late layer.

    The late layer is the one whose channels class activation maps weight, the first normalization of the last block.
    """
    signature = [tf.TensorSpec((None, *SIZE, 3))]
    forward = tf.function(lambda x: model(x, training=False), input_signature=signature)

    @tf.function(input_signature=signature)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = model(x, training=False)[:, CLASS]
        return tape.gradient(score, x)

    late = keras.Model(model.input, [model.get_layer(LATE).output, model.output])

    @tf.function(input_signature=signature)
    def late_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            features, output = late(x, training=False)
            score = output[:, CLASS]
        return tape.gradient(score, features)

    return forward, gradient, late_gradient


def contenders(model, images):
    """Return {name: (floor, run)}, where both take no arguments and return arrays."""
    kinds = ("forward", "gradient", "late gradient")
    passes = dict(zip(kinds, make_passes(model), strict=True))
    floors = {kind: lambda run=run: run(tf.constant(images)).numpy() for kind, run in passes.items()}
    rows = {
        "attention, 12 layers": ("forward", lambda: attribution.attention(model, images)),
        "attention_rollout": ("forward", lambda: attribution.attention_rollout(model, images)),
        "raw_attention": ("forward", lambda: attribution.raw_attention(model, images)),
    }
    for name in ("transformer_relevance", "legrad", "attention_gradcam", "gradcam", "layercam", "class_saliency"):
        method = getattr(attribution, name)
        rows[name] = ("gradient", lambda method=method: method(model, images, CLASS))
    for name in ("gradcam", "layercam"):
        rows[f"{name}, late"] = ("late gradient", rows[name][1])
    rows |= {f"the {kind} floor itself": (kind, floors[kind]) for kind in kinds}
    return {name: (kind, floors[kind], run) for name, (kind, run) in rows.items()}


def seconds(run):
    """Return the time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    """Print a row per contender: its seconds and its ratio to the pass that it needs at least."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the file that defines dinov2_small")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=1, help="images per call")
    parser.add_argument("--only", nargs="+", help="names of rows to measure")
    arguments = parser.parse_args()
    images = np.random.default_rng(0).normal(size=(arguments.images, *SIZE, 3)).astype(np.float32)
    timed = contenders(make_model(arguments.model), images)
    timed = {name: row for name, row in timed.items() if not arguments.only or name in arguments.only}
    for _, floor, run in timed.values():  # the first call traces, which is not part of the measurement
        floor()
        run()
    pairs = {name: [] for name in timed}
    for number in range(arguments.rounds):
        for name, (_, floor, run) in timed.items():
            first, second = (floor, run) if number % 2 else (run, floor)
            times = seconds(first), seconds(second)
            pairs[name].append(times if number % 2 else times[::-1])
    print("| what | floor | floor, s | s | ratio |\n|---|---|---|---|---|")
    for name, values in pairs.items():
        floor, run = np.median(values, axis=0)
        ratio = np.median([run / floor for floor, run in values])
        print(f"| {name} | {timed[name][0]} | {floor:.3f} | {run:.3f} | {ratio:.2f} × |")


if __name__ == "__main__":
    main()
