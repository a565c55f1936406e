"""Time ``top_exemplars`` as a multiple of plain forward passes of the same model over the same images.

    python benchmarks/exemplars.py MODEL.keras PHOTOS [--layer NAME] [--images 1000] [--rounds 5]

There are two floors. *In memory*: the inputs are an array, and the floor runs the whole compiled model over it. *From
files*: the floor reads the files as ``top_exemplars`` does (in threads, ahead of the model) and runs the whole compiled
model; a floor that reads one file after the other is timed too. ``top_exemplars`` runs the model only up to its layer,
but ranks the activations, reads the best images again and projects k units per channel back to pixels. All use the same
batches. Rounds are interleaved; a ratio is the median over rounds of the floor's time divided by the method's time in
the same round, which is the method's throughput as a share of the floor's. If other processes use the machine, the
same ratio of processor time (of all threads) is more reliable.
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
    image_model = ImageModel(model, preprocessing)
    forward = make_forward(model)
    batch = Search(model, layer, [0], 9, open_source(files, image_model)).batch_size
    inputs = np.concatenate([part for _, part in open_source(files, image_model).batches(64)])

    def in_memory():
        for start in range(0, len(inputs), batch):
            forward(tf.constant(inputs[start : start + batch])).numpy()

    def from_files():
        for _, part in open_source(files, image_model).batches(batch):
            forward(tf.constant(part)).numpy()

    def file_by_file():
        for start in range(0, len(files), batch):
            part = [image_model.inputs(images.read(path))[0] for path in files[start : start + batch]]
            forward(tf.constant(np.stack(part))).numpy()

    def exemplars(source, count):
        return lambda: top_exemplars(model, layer, list(range(count)), source, preprocessing=preprocessing)

    return {
        "in memory: floor": (in_memory, None),
        **{f"in memory: {n} channel(s)": (exemplars(inputs, n), "in memory: floor") for n in channels},
        "from files: floor": (from_files, None),
        "from files, one by one": (file_by_file, "from files: floor"),
        **{f"from files: {n} channel(s)": (exemplars(files, n), "from files: floor") for n in channels},
    }, batch


def format_ratio(times, floor, name):
    return f"{np.median(np.array(times[floor]) / times[name]):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos")
    parser.add_argument("--layer", help="name of the layer; by default the last convolution")
    parser.add_argument("--preprocessing", default="caffe")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 9])
    options = parser.parse_args()
    model = keras.saving.load_model(options.model, compile=False)
    last_convolution = [path for path, layer in hooks.layers(model) if isinstance(layer, keras.layers.Conv2D)][-1]
    files = images.find_files([options.photos])[: options.images]
    layer = options.layer or last_convolution
    timed, batch = contenders(model, layer, files, options.preprocessing, options.channels)
    start = time.perf_counter()
    top_exemplars(model, layer, 0, files[:batch], preprocessing=options.preprocessing)
    seconds_to_trace = time.perf_counter() - start
    timed["in memory: floor"][0]()
    seconds, cpu_seconds = {name: [] for name in timed}, {name: [] for name in timed}
    order = list(timed)
    for number in range(options.rounds):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            start, busy = time.perf_counter(), time.process_time()
            timed[name][0]()
            seconds[name].append(time.perf_counter() - start)
            cpu_seconds[name].append(time.process_time() - busy)
    title = f"{model.name}, {layer}, {len(files)} images, k = 9, batches of {batch}, {options.rounds} rounds"
    table = Table("", "median s", "images/s", "throughput / floor's", "CPU s", "floor's CPU / this CPU", title=title)
    for name, (_, floor) in timed.items():
        median = np.median(seconds[name])
        shares = (
            ["", ""] if floor is None else [format_ratio(seconds, floor, name), format_ratio(cpu_seconds, floor, name)]
        )
        table.add_row(
            name,
            f"{median:.2f}",
            f"{len(files) / median:.0f}",
            shares[0],
            f"{np.median(cpu_seconds[name]):.1f}",
            shares[1],
        )
    Console().print(table)
    print(f"The first call, which traces the graphs, for {batch} images: {seconds_to_trace:.1f} s.")


if __name__ == "__main__":
    main()
