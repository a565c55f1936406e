"""Time ``layer_probe`` as a multiple of one plain forward pass of the same model over the same images.

    python benchmarks/probe.py MODEL.keras CLASSES [--layers a,b,c,d,e,f] [--images 800] [--rounds 3] [--apart]

The floor runs the compiled model over the images in memory, in the batches of ``layer_probe``, and fetches its output.
*All layers, no classifiers* is a call with one fold of one training image per class on the means of the maps, which
costs almost nothing besides the pass; *all layers* is a call as a user makes it. ``--apart`` adds one call per layer,
the cost of a probe that runs the model again for every layer. Rounds are interleaved; a ratio is the median over the
rounds of a time divided by the floor's in the same round. If other processes use the machine, the ratio of processor
time (of all threads) is more reliable.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasal import hooks, images, preprocessing, probe
from kerasal.hooks.model_inputs import chunk_size

import keras
import tensorflow as tf

FLOOR = "one forward pass"


def make_forward(model):
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]))])
    def forward(x):
        return model(x, training=False)

    return forward


def contenders(model, layers, inputs, labels, apart: bool):
    forward = make_forward(model)
    batch = chunk_size([np.broadcast_to(0.0, (1, inputs[0].size // 8))])

    def floor():
        for start in range(0, len(inputs), batch):
            forward(tf.constant(inputs[start : start + batch])).numpy()

    def make_probe(chosen, **options):
        return lambda: probe.layer_probe(model, chosen, inputs, labels, batch_size=batch, **options)

    few = {"per_class": 1, "folds": 1, "pool": 1}
    runs = {
        FLOOR: floor,
        "all layers, no classifiers": make_probe(layers, **few),
        "all layers, SVM, 15 per class, 5 folds": make_probe(layers, per_class=15, folds=5),
        "all layers, softmax, 15 per class, 5 folds": make_probe(layers, per_class=15, folds=5, classifier="softmax"),
    }
    if apart:
        calls = [make_probe([layer], **few) for layer in layers]
        runs["one call per layer, no classifiers"] = lambda: [call() for call in calls]
    return runs, batch


def trace(model, layers, inputs, labels, apart: bool):
    """Trace every graph on two images of two classes, because tracing is a cost per model, not per probe."""
    other = next(i for i, label in enumerate(labels) if label != labels[0])
    few = [0, 1, other, other + 1]
    for chosen, pool in ((layers, 1), (layers, 6), *(([layer], 1) for layer in layers if apart)):
        probe.layer_probe(model, chosen, inputs[few], [labels[i] for i in few], per_class=1, folds=1, pool=pool)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("classes", help="a folder with one folder of images per class")
    parser.add_argument("--layers", help="names of layers; by default six convolutions from the first to the last")
    parser.add_argument("--preprocessing", default="caffe")
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    model = keras.saving.load_model(options.model, compile=False)
    convolutions = [path for path, layer in hooks.layers(model) if isinstance(layer, keras.layers.Conv2D)]
    evenly_spaced = [convolutions[round(i)] for i in np.linspace(0, len(convolutions) - 1, 6)]
    layers = options.layers.split(",") if options.layers else evenly_spaced
    files, labels = probe.class_files(options.classes)
    chosen = np.arange(len(files))[: options.images]
    convention, size = preprocessing.get(options.preprocessing), model.input_shape[1:3]
    resized = [images.fit_image(images.read(files[i]), size) for i in chosen]
    inputs = np.concatenate([convention.apply(image[None]) for image in resized])
    labels = [labels[i] for i in chosen]
    timed, batch = contenders(model, layers, inputs, labels, options.apart)
    trace(model, layers, inputs, labels, options.apart)
    timed[FLOOR]()
    seconds, cpu_seconds = {name: [] for name in timed}, {name: [] for name in timed}
    order = list(timed)
    for number in range(options.rounds):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            start, busy = time.perf_counter(), time.process_time()
            timed[name]()
            seconds[name].append(time.perf_counter() - start)
            cpu_seconds[name].append(time.process_time() - busy)
    title = (
        f"{model.name}, {len(inputs)} images, layers {', '.join(layers)}, batches of {batch}, {options.rounds} rounds"
    )
    table = Table("", "median s", "× one pass", "CPU s", "CPU × one pass", title=title)
    for name in timed:
        ratios = [np.median(np.array(times[name]) / times[FLOOR]) for times in (seconds, cpu_seconds)]
        cells = [
            f"{np.median(seconds[name]):.1f}",
            f"{ratios[0]:.2f}",
            f"{np.median(cpu_seconds[name]):.1f}",
            f"{ratios[1]:.2f}",
        ]
        table.add_row(name, *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
