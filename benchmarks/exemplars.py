"""Time ``top_exemplars`` against plain forward passes of the same model over the same images, side by side in one run.

    python benchmarks/exemplars.py MODEL.keras PHOTOS [--layer NAME] [--images 1000] [--rounds 5]

Two floors, because the question has two answers. *In memory*: the inputs are an array, and the floor runs the whole
compiled model over it. *From files*: the floor reads the files as ``top_exemplars`` does (by threads, ahead of the
network) and runs the whole compiled model; reading one file after the other is timed beside it. ``top_exemplars`` runs
the model up to its layer only, but ranks, reads the best images again and carries k units a channel back to pixels. All
take the same batches. Rounds are interleaved; a ratio is the median over rounds of the floor's time divided by the
method's in the same round, which is its share of plain forward throughput. Where others use the machine, the same
ratio of processor time (of all threads) says more.
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

from kerasal import hooks, images
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import open_source
from kerasal.receptive_field import top_exemplars
from kerasal.receptive_field.exemplars.exemplar_search import Search

import keras
import tensorflow as tf


def make_forward(model):
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]))])
    def forward(x):
        return model(x, training=False)

    return forward


def contenders(model, layer, files, preprocessing, channels):
    opened = ImageModel(model, preprocessing)
    forward = make_forward(model)
    batch = Search(model, layer, [0], 9, open_source(files, opened)).batch_size
    inputs = np.concatenate([part for _, part in open_source(files, opened).batches(64)])

    def in_memory():
        for start in range(0, len(inputs), batch):
            forward(tf.constant(inputs[start : start + batch])).numpy()

    def from_files():
        for _, part in open_source(files, opened).batches(batch):
            forward(tf.constant(part)).numpy()

    def one_by_one():
        for start in range(0, len(files), batch):
            part = [opened.inputs(images.read(path))[0] for path in files[start : start + batch]]
            forward(tf.constant(np.stack(part))).numpy()

    def exemplars(source, count):
        return lambda: top_exemplars(model, layer, list(range(count)), source, preprocessing=preprocessing)

    return {
        "in memory: floor": (in_memory, None),
        **{f"in memory: {n} channel(s)": (exemplars(inputs, n), "in memory: floor") for n in channels},
        "from files: floor": (from_files, None),
        "from files, one by one": (one_by_one, "from files: floor"),
        **{f"from files: {n} channel(s)": (exemplars(files, n), "from files: floor") for n in channels},
    }, batch


def _share(spent, floor, name):
    return f"{np.median(np.array(spent[floor]) / spent[name]):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos")
    parser.add_argument("--layer", help="by default the last convolution")
    parser.add_argument("--preprocessing", default="caffe")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 9])
    options = parser.parse_args()
    model = keras.saving.load_model(options.model, compile=False)
    last = [path for path, layer in hooks.layers(model) if isinstance(layer, keras.layers.Conv2D)][-1]
    files = images.find_files([options.photos])[: options.images]
    layer = options.layer or last
    timed, batch = contenders(model, layer, files, options.preprocessing, options.channels)
    first = time.perf_counter()
    top_exemplars(model, layer, 0, files[:batch], preprocessing=options.preprocessing)
    traced = time.perf_counter() - first
    timed["in memory: floor"][0]()
    seconds, work = {name: [] for name in timed}, {name: [] for name in timed}
    order = list(timed)
    for number in range(options.rounds):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            start, busy = time.perf_counter(), time.process_time()
            timed[name][0]()
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - busy)
    title = f"{model.name}, {layer}, {len(files)} images, k = 9, batches of {batch}, {options.rounds} rounds"
    table = Table("", "median s", "images/s", "× the floor's", "CPU s", "floor's / own", title=title)
    for name, (_, floor) in timed.items():
        median = np.median(seconds[name])
        shares = ["", ""] if floor is None else [_share(seconds, floor, name), _share(work, floor, name)]
        table.add_row(
            name, f"{median:.2f}", f"{len(files) / median:.0f}", shares[0], f"{np.median(work[name]):.1f}", shares[1]
        )
    Console().print(table)
    print(f"The first call, which traces, on {batch} images: {traced:.1f} s.")


if __name__ == "__main__":
    main()
