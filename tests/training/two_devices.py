"""What test_distributing.py asks of a process with two logical CPUs, which TensorFlow must be told of at its start.

Run as ``python two_devices.py FOLDER``, this folder being on the path; prints one JSON object.
"""

import contextlib
import io
import json
import pathlib
import sys

import numpy as np
import test_classifier
import test_gaze

from kerasal import training
from kerasal.training.replicas import Replicas

import keras
import tensorflow as tf

OUTPUT = pathlib.Path(sys.argv[1])
RANDOM = np.random.default_rng


def difference(first, second):
    """Return the largest difference between two lists of arrays."""
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def columns(history):
    return history.drop(columns=["epoch", "seconds"]).dropna(axis=1, how="all").dropna().to_numpy()


def plain(classes=3):
    """A net without what differs by design: no batch statistics, no dropout; its regularizer counts once."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="tanh", kernel_regularizer="l2"),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ],
        name="plain",
    )


def classifier():
    """50 images in batches of 7: parts of 3 and 4, and a last batch with no image for one device."""
    results = [
        training.train(
            plain(),
            test_classifier.data(50),
            test_classifier.data(21, 2),
            OUTPUT / f"classifier-{strategy}",
            epochs=2,
            batch_size=7,
            learning_rate=0.01,
            strategy=strategy,
            class_names=["a", "b", "c"],
            progress=False,
        )
        for strategy in (None, "mirrored")
    ]
    start, (one, two) = plain().get_weights(), (result.model.get_weights() for result in results)
    return {
        "weights": difference(one, two),
        "moved": difference(one, start),
        "history": difference(*([columns(result.history)] for result in results)),
        "confusion": bool((results[0].confusion == results[1].confusion).all(axis=None)),
    }


def gaze():
    """20 images shown in batches of 19, and validated in one of 7; the best weights are kept."""
    results = []
    for strategy in (None, "mirrored"):
        keras.utils.set_random_seed(0)
        layers = keras.layers
        net = keras.Sequential(
            [
                keras.Input((12, 12, 3)),
                layers.Conv2D(4, 3, activation="tanh", kernel_regularizer="l2"),
                layers.Flatten(),
                layers.Dense(36),
                layers.Reshape((6, 6)),
            ],
            name="plain",
        )
        changes = {"batch_size": 19, "strategy": strategy, "keep": "best", "loss": "mse=1,cc=0.3"}
        results.append(test_gaze.run(OUTPUT / f"gaze-{strategy}", net, **changes))
    one, two = results
    return {
        "weights": difference(one.model.get_weights(), two.model.get_weights()),
        "history": difference([columns(one.history)], [columns(two.history)]),
        "steps": difference([one.steps.to_numpy()], [two.steps.to_numpy()]),
    }


def batch_statistics():
    """One step of 8 images: what the moving averages should be, and are."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    norm = layers.BatchNormalization(momentum=0.75, name="norm")
    net = keras.Sequential([keras.Input((2, 2, 1)), norm, layers.Flatten(), layers.Dense(3, "softmax")], name="norm")
    images, labels = RANDOM(0).normal(size=(8, 2, 2, 1)).astype(np.float32), np.arange(8) % 3
    training.train(
        net, (images, labels), (images, labels), OUTPUT / "norm", epochs=1, batch_size=8, strategy="mirrored",
        progress=False,
    )  # fmt: skip
    shown = images[RANDOM([0, 1]).permutation(8)]
    variance = np.mean([half.var() for half in (shown[:4], shown[4:])])
    wanted = [[0.25 * images.mean()], [0.75 + 0.25 * variance]]
    with np.load(OUTPUT / "norm" / "checkpoint.npz") as stored:
        kept = [stored[f"model_{i}"] for i in (2, 3)]
    return {
        "net": difference([norm.moving_mean.numpy(), norm.moving_variance.numpy()], wanted),
        "checkpoint": difference(kept, wanted),
        "of the first device alone": difference([0.75 + 0.25 * shown[:4].var()], [wanted[1]]),
    }


def dropout():
    """Return what each device drops of the same image, and what a training on one device drops."""
    ones, masks = np.ones((1, 50), np.float32), []
    for strategy in ("mirrored", None):
        net = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
        replicas = Replicas(net, strategy)
        replicas.seed_dropout(RANDOM(3))
        if strategy is None:
            masks.append(net(ones, training=True))
        else:
            found = tf.function(
                lambda replicas=replicas: replicas.strategy.run(lambda: replicas.model(ones, training=True))
            )()
            masks.extend(replicas.strategy.experimental_local_results(found))
    return [np.asarray(mask)[0].tolist() for mask in masks]


def going_on():
    """Two epochs at once, and in two calls; then a third on one device."""
    settings = {"epochs": 2, "strategy": "mirrored"}
    whole = test_classifier.run(OUTPUT / "whole", **settings).model.get_weights()
    test_classifier.run(OUTPUT / "stopped", **settings | {"epochs": 1})
    resumed = test_classifier.run(OUTPUT / "stopped", test_classifier.tiny(7), **settings).model.get_weights()
    with contextlib.redirect_stderr(io.StringIO()) as said:
        alone = test_classifier.run(OUTPUT / "stopped", epochs=3, progress=True)
    return {
        "weights": difference(whole, resumed),
        "said": " ".join(said.getvalue().split()),
        "epochs": len(alone.history),
    }


def refused():
    try:
        test_classifier.run(OUTPUT / "refused", batch_size=1, strategy="mirrored")
    except ValueError as error:
        return {"said": str(error), "made": (OUTPUT / "refused").exists()}
    return {}


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    checks = (classifier, gaze, batch_statistics, dropout, going_on, refused)
    sys.stdout.write(json.dumps({check.__name__: check() for check in checks}))
