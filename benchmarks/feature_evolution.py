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

A stopped run continues with the next model. ``--picture FILE`` draws layers 1 to 4 of ``sgd``, seed 0.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from convergence import print_tables, similarities

from kerasal import hooks, images, probe, receptive_field, store

import keras

LAYERS = [f"conv{number}" for number in range(1, 6)]
KERNELS = ((7, 2), (5, 1), (3, 1), (3, 1), (3, 1))  # side and stride; pooled after 1, 2 and 5, as in ZFNet
EPOCHS = (1, 2, 5, 10, 20, 30, 40, 64)
VARIANTS = ("sgd", "batch_norm", "paper_start", "adam")
CROP = 56
PREPROCESSING = "mean=127,std=64"


def build_model(variant, filters, classes):
    """Return the model; the output of ``conv1`` to ``conv5`` is rectified in every variant."""
    he = variant in ("sgd", "batch_norm")
    start = keras.initializers.HeNormal() if he else keras.initializers.RandomNormal(0, 0.01)
    x = inputs = keras.Input((CROP, CROP, 3))
    for name, count, (side, stride) in zip(LAYERS, filters, KERNELS, strict=True):
        norm = variant == "batch_norm"
        options = {"strides": stride, "padding": "same", "kernel_initializer": start}
        options |= {"name": f"{name}_linear", "use_bias": False} if norm else {"name": name, "activation": "relu"}
        x = keras.layers.Conv2D(count, side, **options)(x)
        if norm:
            x = keras.layers.Activation("relu", name=name)(keras.layers.BatchNormalization(momentum=0.9)(x))
        if name in ("conv1", "conv2", "conv5"):
            x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
    x = keras.layers.Dropout(0.5, seed=0)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax", kernel_initializer=start)(x))


class Batches(keras.utils.PyDataset):
    """Shuffled batches of random crops and mirror images, which depend on the seed and the epoch alone."""

    def __init__(self, pixels, labels, seed, batch):
        super().__init__()
        self.pixels, self.labels, self.seed, self.batch = pixels, labels, seed, min(batch, len(pixels))
        self.epoch = -1
        self.on_epoch_begin()

    def __len__(self):
        return len(self.pixels) // self.batch

    def on_epoch_begin(self):
        self.epoch += 1
        self.random = np.random.default_rng([self.seed, self.epoch])
        self.order = self.random.permutation(len(self.pixels))

    def __getitem__(self, index):
        chosen = self.order[index * self.batch :][: self.batch]
        corners = self.random.integers(0, self.pixels.shape[1] - CROP + 1, (len(chosen), 2))
        crops = [self.pixels[i, y : y + CROP, x : x + CROP] for i, (y, x) in zip(chosen, corners, strict=True)]
        mirrored = self.random.random(len(chosen)) < 0.5
        crops = [crop[:, ::-1] if flip else crop for crop, flip in zip(crops, mirrored, strict=True)]
        return np.stack(crops), self.labels[chosen]


class Recorder(keras.callbacks.Callback):
    """Store kernels, centered inner products of responses, strongest images and dead channels after chosen epochs."""

    def __init__(self, inputs, epochs):
        super().__init__()
        self.inputs, self.epochs, self.states = inputs, epochs, {}

    def on_train_begin(self, logs=None):
        self.record(0)

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 in self.epochs:
            self.record(epoch + 1)

    def record(self, epoch):
        self.states[epoch] = {}
        for layer, maps in hooks.activations(self.model, LAYERS, self.inputs).items():
            flat = maps.reshape(len(maps), -1).astype(np.float64)
            flat -= flat.mean(axis=0)
            peaks = maps.max(axis=(1, 2))
            kernels = {path: found.kernel for path, found in hooks.layers(self.model) if hasattr(found, "kernel")}
            kernel = kernels.get(layer, kernels.get(f"{layer}_linear"))
            self.states[epoch][layer] = {
                "products": flat @ flat.T,
                "strongest": peaks.argmax(axis=0),
                "dead": peaks.max(axis=0) <= 0,
                "kernel": keras.ops.convert_to_numpy(kernel).ravel().astype(np.float64),
            }


def train(variant, seed, train_data, test_data, epochs, filters, batch, folder):
    """Train a model from its seed; return its accuracy, its dead channels and its similarities to the last epoch."""
    keras.utils.set_random_seed(seed)
    (pixels, labels), (test_pixels, test_labels) = train_data, test_data
    model = build_model(variant, filters, len(np.unique(labels)))
    model.compile(
        keras.optimizers.Adam(4e-4) if variant == "adam" else keras.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rate, late = float(model.optimizer.learning_rate), round(epochs[-1] * 2 / 3)
    recorder = Recorder(test_pixels, epochs)
    callbacks = [recorder, keras.callbacks.LearningRateScheduler(lambda epoch: rate if epoch < late else rate / 10)]
    if folder is not None:
        shown = {layer: range(min(4, filters[0])) for layer in LAYERS[:4]}
        options = {"epochs": epochs, "preprocessing": PREPROCESSING, "overwrite": True}
        callbacks.append(receptive_field.FeatureEvolution(folder, test_pixels, shown, **options))
    history = model.fit(Batches(pixels, labels, seed, batch), epochs=epochs[-1], callbacks=callbacks, verbose=0).history
    return {
        "training": history["accuracy"][-1],
        "accuracy": float((model.predict(test_pixels, verbose=0).argmax(axis=1) == test_labels).mean()),
        "dead": {layer: int(recorder.states[epochs[-1]][layer]["dead"].sum()) for layer in LAYERS},
        "similarities": {layer: similarities(recorder.states, layer) for layer in LAYERS},
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
    margin = (64 - CROP) // 2
    test_data = test_pixels[:, margin : margin + CROP, margin : margin + CROP], test_labels
    settings = {"per_class": options.per_class, "filters": options.filters, "epochs": epochs, "batch": options.batch}
    results = {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for variant in options.variants:
            file = options.output / f"{variant}-{seed}.json"
            stored = store.read_json(file)
            if stored.get("settings") != settings:
                folder = options.output / f"evolution-{variant}" if seed == 0 else None
                stored = {"settings": settings}
                stored |= train(variant, seed, train_data, test_data, epochs, options.filters, options.batch, folder)
                options.output.mkdir(parents=True, exist_ok=True)
                store.write_json(file, stored)
                print(f"{variant}, seed {seed}: accuracy {stored['accuracy']:.3f}, dead {stored['dead']}", flush=True)
            results[variant, seed] = stored
    print_tables(results, LAYERS, epochs, options.filters)
    if options.picture:
        title = "Layers 1 to 4 of a small ZFNet: reconstruction of the strongest activation after each epoch"
        images.write(options.picture, receptive_field.draw_evolution(options.output / "evolution-sgd", title=title))


if __name__ == "__main__":
    main()
