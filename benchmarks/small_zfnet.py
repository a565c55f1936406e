"""A small ZFNet for images of 64 × 64 pixels, and a training of it that can be stopped and resumed.

Used by ``feature_evolution.py`` and ``caltech101.py``.
"""

import os

import numpy as np

from kerasal import store

import keras

LAYERS = [f"conv{number}" for number in range(1, 6)]
KERNELS = ((7, 2), (5, 1), (3, 1), (3, 1), (3, 1))  # side and stride; pooled after 1, 2 and 5, as in ZFNet
VARIANTS = ("sgd", "batch_norm", "paper_start", "adam")
CROP = 56
PREPROCESSING = "mean=127,std=64"


def build_model(variant, filters, classes):
    """Return the compiled model; the output of ``conv1`` to ``conv5`` is rectified in every variant."""
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
    model = keras.Model(inputs, keras.layers.Dense(classes, activation="softmax", kernel_initializer=start)(x))
    optimizer = keras.optimizers.Adam(4e-4) if variant == "adam" else keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def draw_epoch(pixels, labels, seed, epoch):
    """Return the images of an epoch in random order, as random crops and mirror images, and their labels."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(pixels))
    corners = random.integers(0, pixels.shape[1] - CROP + 1, (len(pixels), 2))
    mirrored = random.random(len(pixels)) < 0.5
    crops = np.empty((len(pixels), CROP, CROP, 3), np.float32)
    for i, (number, (y, x), flip) in enumerate(zip(order, corners, mirrored, strict=True)):
        crop = pixels[number, y : y + CROP, x : x + CROP]
        crops[i] = crop[:, ::-1] if flip else crop
    return crops, labels[order]


def center_crops(pixels):
    """Return the centers (N, 56, 56, 3) of images."""
    margin = (pixels.shape[1] - CROP) // 2
    return pixels[:, margin : margin + CROP, margin : margin + CROP]


def train(model, data, seed, epochs, batch, late, callbacks=(), checkpoint=None, settings=None, notes=None):
    """Train a compiled model; return it with its training accuracy in the last epoch.

    Args:
        data: images (N, 64, 64, 3) and labels.
        epochs: number of epochs.
        late: the learning rate is divided by 10 after this epoch.
        callbacks: Keras callbacks that are called at the beginning and the end of each epoch.
        checkpoint: path (without ending) of the files from which a stopped training with the same settings resumes;
            written at every tenth epoch and removed at the end.
        notes: dictionary of arrays that belongs to the checkpoint; filled from it.
    """
    start = 0
    if checkpoint is not None:
        facts = store.read_json(checkpoint.with_suffix(".json"))
        if facts.get("settings") == settings and checkpoint.with_suffix(f".{facts['epoch']}.keras").exists():
            start = facts["epoch"]
            model = keras.saving.load_model(checkpoint.with_suffix(f".{start}.keras"))
            if notes is not None:
                notes.update(np.load(checkpoint.with_suffix(f".{start}.npz"), allow_pickle=False))
    rate = 4e-4 if isinstance(model.optimizer, keras.optimizers.Adam) else 0.01
    listeners = keras.callbacks.CallbackList(list(callbacks), model=model)
    listeners.on_train_begin()
    accuracy = float("nan")
    for epoch in range(start, epochs):
        listeners.on_epoch_begin(epoch)
        model.optimizer.learning_rate.assign(rate if epoch < late else rate / 10)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):  # the state of its generator is not in the file of a model
                layer.seed_generator.state.assign([seed, epoch])
        crops = draw_epoch(*data, seed, epoch)
        accuracy = model.fit(*crops, batch_size=batch, shuffle=False, verbose=0).history["accuracy"][0]
        listeners.on_epoch_end(epoch)
        if checkpoint is not None and (epoch + 1) % 10 == 0:
            _write_checkpoint(checkpoint, model, epoch + 1, settings, notes)
    if checkpoint is not None:
        for path in checkpoint.parent.glob(f"{checkpoint.name}.*"):
            path.unlink()
    return model, accuracy


def _write_checkpoint(checkpoint, model, epoch, settings, notes):
    """Write the files of an epoch, then the one that names the epoch, and remove those of older epochs."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    model.save(checkpoint.with_suffix(f".{epoch}.keras"))
    if notes is not None:
        np.savez(checkpoint.with_suffix(f".{epoch}.npz"), **notes)
    store.write_json(checkpoint.with_suffix(".json"), {"settings": settings, "epoch": epoch})
    for path in checkpoint.parent.glob(f"{checkpoint.name}.*"):
        if path.suffix in (".keras", ".npz") and f".{epoch}." not in path.name:
            os.unlink(path)
