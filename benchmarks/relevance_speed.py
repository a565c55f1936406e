"""Time layer-wise relevance propagation as multiples of one gradient pass, by composite.

    python benchmarks/relevance_speed.py [--rounds 5]

Times are those of the processor, on one thread, so that other programs on the machine hardly matter. VGG16 and ResNet50
have random weights, EfficientNet-Lite0 those of the zoo; one image of 224 × 224. Each number is the median over the
rounds, divided by that of ``input_gradient`` in the same rounds.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

import kerasal
from kerasal import attribution

import keras

COMPOSITES = ("epsilon_plus", "epsilon", "epsilon_alpha2_beta1", "epsilon_gamma_box")
MODELS = {
    "vgg16": lambda: keras.applications.VGG16(weights=None, classifier_activation=None),
    "resnet50": lambda: keras.applications.ResNet50(weights=None, classifier_activation=None),
    "efficientnet_lite0": lambda: kerasal.load_model("efficientnet_lite0"),
}


def cpu_time(function) -> float:
    """Return the seconds of the processor that a function takes."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"| model | {' | '.join(COMPOSITES)} |\n|---|{'---|' * len(COMPOSITES)}")
    for name, make in MODELS.items():
        model = make()
        inputs = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
        runs = [lambda model=model, inputs=inputs: attribution.input_gradient(model, inputs, 3)]
        for composite in COMPOSITES:
            options = {"composite": composite, **({"low": -1.0, "high": 1.0} if "box" in composite else {})}
            runs.append(
                lambda model=model, inputs=inputs, options=options: attribution.lrp(model, inputs, 3, **options)
            )
        for run in runs:  # the first run traces
            run()
        times = np.median([[cpu_time(run) for run in runs] for _ in range(rounds)], axis=0)
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in times[1:] / times[0])} |", flush=True)


if __name__ == "__main__":
    main()
