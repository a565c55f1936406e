"""Measure in which order the layers of a small ZFNet converge, and draw the evolution of their features.

    python benchmarks/feature_evolution.py tiny_imagenet10 -o RUNS [--seeds 5] [--per-class 200]

The slides on Zeiler & Fergus 2014 (figure 4) show features after epochs 1 to 64 and say that lower layers converge
within a few epochs and upper layers need many. Here the five convolutions of ZFNet, with fewer filters, with stride 1
in the second, and without contrast normalization, learn ten classes of 64 × 64 pixels (random crops of 56 and mirror
images; the center crop for the test). All variants have the same images in the same order and the same number of steps:

``sgd``         the paper's SGD (learning rate .01, momentum .9, dropout .5), the rate divided by 10 after two thirds of
                the epochs. Batches have 32 images, not 128, since an epoch has thousands of images and not 1.3 million.
                The weights start from He's distribution
``batch_norm``  the same with batch normalization after each convolution, as a control
``paper_start`` ``sgd`` from the paper's weights, normal with standard deviation .01
``adam``        ``paper_start`` with Adam at .0004, the setting of the notebook

After each stored epoch, three similarities to the last epoch are measured for the rectified output of each layer, on
fixed test images: ``responses`` (linear CKA of the maps), ``exemplars`` (share of the channels with the same strongest
image, which is what the figure shows), and ``weights`` (cosine of the kernel's changes since the start). A layer has
converged at the first epoch, interpolated between stored ones on a logarithmic scale, whose similarity is at least .9
("level"), or at least .9 of the way from that of epoch 0 to 1 ("way"). The difference matters: the random filters of
a first layer respond much like trained ones, so by its level it has converged before it learned anything, and by its
way it must come closer than the others. The order is judged by the factor between (1 + epoch) of layers 4 and 1, with
a 95 % interval (Student's t) over the seeds: "lower layers first" if the interval lies above 1, "upper layers first"
below 1, otherwise "no order".

A stopped run continues at the last tenth epoch of the model. ``--picture FILE`` draws layers 1 to 4 of ``sgd``, seed 0.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import small_zfnet
from convergence import print_tables, similarities
from small_zfnet import LAYERS, PREPROCESSING, VARIANTS

from kerasal import hooks, images, probe, receptive_field, store

import keras

EPOCHS = (1, 2, 5, 10, 20, 30, 40, 64)
KEYS = ("products", "strongest", "dead", "kernel")


class Recorder(keras.callbacks.Callback):
    """Store kernels, centered inner products of responses, strongest images and dead channels after chosen epochs."""

    def __init__(self, inputs, epochs):
        super().__init__()
        self.inputs, self.epochs = inputs, epochs
        self.notes = {}  # by "epoch/layer/key", as they are stored

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self.record(0)

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 in self.epochs:
            self.record(epoch + 1)

    def record(self, epoch):
        kernels = {path: found.kernel for path, found in hooks.layers(self.model) if hasattr(found, "kernel")}
        for layer, maps in hooks.activations(self.model, LAYERS, self.inputs).items():
            flat = maps.reshape(len(maps), -1).astype(np.float64)
            flat -= flat.mean(axis=0)
            peaks = maps.max(axis=(1, 2))
            kernel = keras.ops.convert_to_numpy(kernels.get(layer, kernels.get(f"{layer}_linear")))
            values = (flat @ flat.T, peaks.argmax(axis=0), peaks.max(axis=0) <= 0, kernel.ravel().astype(np.float64))
            self.notes |= {f"{epoch}/{layer}/{key}": value for key, value in zip(KEYS, values, strict=True)}

    def states(self):
        """Return {epoch: {layer: {key: array}}}."""
        return {
            epoch: {layer: {key: self.notes[f"{epoch}/{layer}/{key}"] for key in KEYS} for layer in LAYERS}
            for epoch in (0, *self.epochs)
        }


def train(variant, seed, train_data, test_data, settings, output):
    """Train a model from its seed; return its accuracy, its dead channels and its similarities to the last epoch."""
    keras.utils.set_random_seed(seed)
    pixels, labels = test_data
    epochs = settings["epochs"]
    model = small_zfnet.build_model(variant, settings["filters"], len(np.unique(labels)))
    recorder = Recorder(pixels, epochs)
    callbacks = [recorder]
    if seed == 0:
        shown = {layer: range(min(4, settings["filters"][0])) for layer in LAYERS[:4]}
        options = {"epochs": epochs, "preprocessing": PREPROCESSING, "overwrite": True}
        folder = output / f"evolution-{variant}"
        callbacks.append(receptive_field.FeatureEvolution(folder, pixels, shown, **options))
    model, training = small_zfnet.train(
        model,
        train_data,
        seed,
        epochs[-1],
        settings["batch"],
        round(epochs[-1] * 2 / 3),
        callbacks,
        checkpoint=output / "checkpoints" / f"{variant}-{seed}",
        settings=settings,
        notes=recorder.notes,
    )
    states = recorder.states()
    return {
        "training": training,
        "accuracy": float((model.predict(pixels, verbose=0).argmax(axis=1) == labels).mean()),
        "dead": {layer: int(states[epochs[-1]][layer]["dead"].sum()) for layer in LAYERS},
        "similarities": {layer: similarities(states, layer) for layer in LAYERS},
    }


def read_part(folder, per_class):
    """Return the first images of each class as model inputs (N, 64, 64, 3), and their classes."""
    from kerasal import preprocessing

    files, names = probe.class_files(folder)
    chosen = [i for i in range(len(files)) if names[:i].count(names[i]) < per_class]
    pixels = np.stack([images.fit_image(images.read(files[i]), (64, 64)) for i in chosen])
    labels = np.unique(np.array(names)[chosen], return_inverse=True)[1]
    return preprocessing.get(PREPROCESSING).apply(pixels), labels


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="a folder with the folders train and val of class folders")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/feature-evolution"))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["sgd", "batch_norm"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--per-class", type=int, default=200, help="training images of each class")
    parser.add_argument("--filters", type=int, nargs=5, default=[16, 32, 64, 64, 64], help="of the five convolutions")
    parser.add_argument("--batch", type=int, default=32, help="images of a step")
    parser.add_argument("--epochs", type=int, default=64, help="the stored ones are 1, 2, 5, 10, 20, 30, 40 and this")
    parser.add_argument("--picture", type=pathlib.Path, help="file for the evolution of the features of sgd, seed 0")
    parser.add_argument("--small", action="store_true", help="two epochs on few images with few filters, as a test")
    options = parser.parse_args(arguments)
    if options.small:
        options.per_class, options.epochs, options.filters, options.seeds = 8, 2, [4, 4, 4, 4, 4], 2
    epochs = [epoch for epoch in EPOCHS if epoch < options.epochs] + [options.epochs]
    train_data = read_part(options.data / "train", options.per_class)
    test_pixels, test_labels = read_part(options.data / "val", options.per_class)
    test_data = small_zfnet.center_crops(test_pixels), test_labels
    settings = {"per_class": options.per_class, "filters": options.filters, "epochs": epochs, "batch": options.batch}
    results = {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for variant in options.variants:
            file = options.output / f"{variant}-{seed}.json"
            stored = store.read_json(file)
            if stored.get("settings") != settings:
                stored = {"settings": settings}
                stored |= train(variant, seed, train_data, test_data, settings, options.output)
                options.output.mkdir(parents=True, exist_ok=True)
                store.write_json(file, stored)
                print(f"{variant}, seed {seed}: accuracy {stored['accuracy']:.3f}, dead {stored['dead']}", flush=True)
            results[variant, seed] = stored
    print_tables(results, LAYERS, epochs, options.filters)
    if options.picture:
        title = "Layers 1 to 4 of a small ZFNet: reconstruction of the strongest activation after each epoch"
        # Without the patches, whose license does not allow to show them.
        drawn = receptive_field.draw_evolution(options.output / "evolution-sgd", title=title, patches=False)
        images.write(options.picture, drawn)


if __name__ == "__main__":
    main()
