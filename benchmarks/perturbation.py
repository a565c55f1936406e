"""Time of the perturbation methods beside that of their forward passes, and of other packages with as many passes.

    python benchmarks/perturbation.py [--model vgg16] [--samples 256] [--rounds 5] [--only rise hsic] [--processor-time]

The model has random weights, normalized so that its scores differ, and explains one image of 224 × 224. The floor is a
compiled loop over as many forward passes of the image, in batches as large as those of the methods. All are run once to
be traced, and then in turn; the figures are medians over the rounds. Peers are measured where they are installed, in
the two environments of ``perturbation_equality.py``: RISE, Sobol and HSIC of xplique, KernelExplainer of shap and
LimeImageExplainer of lime; FeatureAblation and KernelShap of captum. All explain the same Keras model, which they call
compiled and in batches of 32. With five rounds, a run takes about four minutes on two cores. Processor time, of one
thread (``TF_NUM_INTRAOP_THREADS=1``), hardly depends on what else runs. The model ``four_pixels`` takes no time, so
that what remains is the time of masks and sums.
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
from typing import Any

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


def four_pixels(weights: None) -> keras.Model:
    """Return a linear model of four pixels."""
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, keras.layers.Dense(1000)(keras.layers.Flatten()(image[:, :: SIDE // 2, :: SIDE // 2])))


MODELS = {
    "vgg16": keras.applications.VGG16,
    "mobilenetv2": keras.applications.MobileNetV2,
    "four_pixels": four_pixels,
}


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


def normalize(model: keras.Model, image: np.ndarray) -> None:
    """Set the statistics of batch normalization to those of noise; a new network has the same score everywhere."""
    noise = np.random.default_rng(1).normal(size=(8, *image.shape[1:])).astype(np.float32)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.momentum = 0.0
    if layers:
        model(noise, training=True)


def peers(model: keras.Model, image: np.ndarray, samples: int) -> dict[tuple[str, str], Callable]:
    """Return functions that run peers with about as many forward passes, by the name of kerasal's method and theirs."""
    found: dict[tuple[str, str], Callable] = {}
    labels, run = make_regions((SIDE, SIDE)).labels, tf.function(functools.partial(model, training=False))
    designs = methods(samples)["sobol"][0]["designs"]
    if importlib.util.find_spec("xplique"):
        from xplique import attributions

        shared, target = {"grid_size": 7, "batch_size": BATCH}, np.eye(1000, dtype=np.float32)[[0]]
        for name, explainer in {
            "rise": attributions.Rise(model, nb_samples=samples, **shared),
            "sobol": attributions.SobolAttributionMethod(model, nb_design=designs, **shared),
            "hsic": attributions.HsicAttributionMethod(model, nb_design=samples, **shared),
        }.items():
            found[name, "xplique"] = functools.partial(explainer, image, target)
    if importlib.util.find_spec("shap"):
        import shap

        def score(kept: np.ndarray) -> np.ndarray:
            parts = [kept[start : start + BATCH] for start in range(0, len(kept), BATCH)]
            masked = (image * part.astype(np.float32)[:, labels][..., None] for part in parts)
            return np.concatenate([run(x).numpy()[:, 0] for x in masked])

        kernel = shap.KernelExplainer(score, np.zeros((1, REGIONS)))
        every = np.ones(REGIONS)
        found["kernel_shap", "shap"] = lambda: kernel.shap_values(every, nsamples=samples, l1_reg=False, silent=True)
    if importlib.util.find_spec("lime"):
        from lime.lime_image import LimeImageExplainer

        options = {"hide_color": 0, "num_samples": samples, "batch_size": BATCH}
        found["lime", "lime"] = lambda: LimeImageExplainer().explain_instance(
            image[0],
            lambda x: run(np.asarray(x, np.float32)).numpy(),
            labels=(0,),
            top_labels=None,
            segmentation_fn=lambda x: labels,
            **options,
        )
    if importlib.util.find_spec("captum"):
        import captum.attr
        import torch

        def scores(x):
            return torch.from_numpy(run(x.numpy()).numpy()[:, 0])

        mask = torch.from_numpy(np.repeat(labels[..., None], 3, axis=2)[None].astype(np.int64))
        options = {"feature_mask": mask, "perturbations_per_eval": BATCH}
        x, kernel_shap = torch.from_numpy(image), captum.attr.KernelShap(scores)
        found["ablation", "captum"] = lambda: captum.attr.FeatureAblation(scores).attribute(x, **options)
        found["kernel_shap", "captum"] = lambda: kernel_shap.attribute(x, n_samples=samples, **options)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="mobilenetv2")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=methods(256), help="Names of methods; by default all.")
    parser.add_argument("--processor-time", action="store_true", help="Measure the time of the processor.")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    keras.utils.set_random_seed(0)
    model = MODELS[arguments.model](weights=None)
    image = np.random.default_rng(0).normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
    normalize(model, image)
    floor = forward_loop(model, image)
    table = {name: row for name, row in methods(arguments.samples).items() if name in (arguments.only or [name])}
    others = {key: run for key, run in peers(model, image, arguments.samples).items() if key[0] in table}
    runs: dict[Any, Callable] = {passes: functools.partial(floor, passes) for _, passes in table.values()}
    for name, (options, _) in table.items():
        runs[name] = functools.partial(getattr(attribution, name), model, image, 0, logits=False, **options)
        runs |= {key: run for key, run in others.items() if key[0] == name}
    times: dict[Any, list[float]] = {key: [] for key in runs}
    for number in range(arguments.rounds + 1):  # the first one traces
        for key, run in runs.items():
            start = clock()
            run()
            times[key] += [clock() - start] if number else []

    def ratio(first: Any, second: Any) -> str:
        pairs = zip(times[first], times[second], strict=True)
        return f"{statistics.median(one / other for one, other in pairs):.2f}"

    print(f"{arguments.model}, {arguments.rounds} rounds\n")
    print("| method | passes | time, s | × its forward passes | peer × kerasal |\n|---|---|---|---|---|")
    for name, (_, passes) in table.items():
        peer = ", ".join(f"{ratio(key, name)} ({key[1]})" for key in others if key[0] == name)
        print(f"| {name} | {passes} | {statistics.median(times[name]):.2f} | {ratio(name, passes)} | {peer or '–'} |")


if __name__ == "__main__":
    main()
