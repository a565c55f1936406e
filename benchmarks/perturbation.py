"""Time of the perturbation methods beside that of their forward passes, and of other packages with as many passes.

    python benchmarks/perturbation.py [--model vgg16] [--samples 256] [--rounds 5]

The model has random weights and explains one image of 224 × 224. The floor is a compiled loop over as many forward
passes of the image, in batches as large as those of the methods. All are run once to be traced, and then in turn; the
figures are medians over the rounds. Peers are measured where they are installed (see ``perturbation_equality.py``):
RISE of xplique and KernelExplainer of shap, which call the compiled model in batches of 32.
"""

import argparse
import functools
import importlib.util
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from kerasal import attribution
from kerasal.attribution.perturbation.masked_scores import TIMES_MORE
from kerasal.attribution.perturbation.partition import make_regions
from kerasal.hooks.model_inputs import chunk_size

import keras
import tensorflow as tf

SIDE, REGIONS, BATCH = 224, 49, 32
MODELS = {"vgg16": keras.applications.VGG16, "mobilenetv2": keras.applications.MobileNetV2}


def methods(samples: int) -> dict[str, tuple[dict, int]]:
    """Return the options and the number of forward passes of each method, about ``samples`` of them."""
    designs = max(2, 2 ** int(np.log2(samples / (REGIONS + 1))))
    return {
        "rise": ({"samples": samples}, samples),
        "lime": ({"samples": samples}, samples),
        "kernel_shap": ({"samples": samples}, samples + 2),
        "hsic": ({"samples": samples}, samples),
        "sobol": ({"designs": designs}, designs * (REGIONS + 1)),
        "ablation": ({}, REGIONS + 1),
    }


def forward_loop(model: keras.Model, image: np.ndarray) -> Callable[[int], None]:
    """Return a function that runs a number of forward passes of an image in a compiled loop."""
    chunk = TIMES_MORE * int(chunk_size([tf.constant(image)]))

    @tf.function
    def loop(passes):
        def body(done, total):
            rows = tf.minimum(chunk, passes - done)
            scores = model(tf.tile(image, [rows, 1, 1, 1]) + tf.cast(done, tf.float32), training=False)
            return done + rows, total + tf.reduce_sum(scores)

        return tf.while_loop(lambda done, _: done < passes, body, (0, 0.0), parallel_iterations=1)[1]

    return lambda passes: float(loop(tf.constant(passes)))


def peers(model: keras.Model, image: np.ndarray, samples: int) -> dict[str, Callable[[], None]]:
    """Return functions that run peers with about as many forward passes, by the name of kerasal's method."""
    found: dict[str, Callable] = {}
    if importlib.util.find_spec("xplique"):
        from xplique.attributions import Rise

        explainer = Rise(model, nb_samples=samples, grid_size=7, batch_size=BATCH)
        found["rise"] = functools.partial(explainer, image, np.eye(1000, dtype=np.float32)[[0]])
    if importlib.util.find_spec("shap"):
        import shap

        labels, run = make_regions((SIDE, SIDE)).labels, tf.function(functools.partial(model, training=False))

        def score(kept: np.ndarray) -> np.ndarray:
            parts = [kept[start : start + BATCH] for start in range(0, len(kept), BATCH)]
            masked = (image * part.astype(np.float32)[:, labels][..., None] for part in parts)
            return np.concatenate([run(x).numpy()[:, 0] for x in masked])

        kernel = shap.KernelExplainer(score, np.zeros((1, REGIONS)))
        every = np.ones(REGIONS)
        found["kernel_shap"] = lambda: kernel.shap_values(every, nsamples=samples, l1_reg=False, silent=True)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="mobilenetv2")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = MODELS[arguments.model](weights=None)
    image = np.random.default_rng(0).normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
    floor, others = forward_loop(model, image), peers(model, image, arguments.samples)
    table = methods(arguments.samples)
    runs: dict[tuple[str, str], Callable] = {}
    for name, (options, passes) in table.items():
        runs[name, "kerasal"] = functools.partial(getattr(attribution, name), model, image, 0, logits=False, **options)
        runs[name, "floor"] = functools.partial(floor, passes)
        if name in others:
            runs[name, "peer"] = others[name]
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for number in range(arguments.rounds + 1):  # the first one traces
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            times[key] += [time.perf_counter() - start] if number else []
    print(f"{arguments.model}, {arguments.rounds} rounds\n")
    print("| method | passes | time, s | × its forward passes | peer × kerasal |\n|---|---|---|---|---|")
    for name, (_, passes) in table.items():
        ours = statistics.median(times[name, "kerasal"])
        pairs = zip(times[name, "kerasal"], times[name, "floor"], strict=True)
        ratio = statistics.median(mine / base for mine, base in pairs)
        both = zip(times.get((name, "peer"), []), times[name, "kerasal"], strict=False)
        peer = [theirs / mine for theirs, mine in both]
        print(f"| {name} | {passes} | {ours:.2f} | {ratio:.2f} | {f'{statistics.median(peer):.2f}' if peer else '–'} |")


if __name__ == "__main__":
    main()
