"""From a gaze data set to batches for training: read and resized once, shuffled and mirrored in every pass."""

import os
from typing import Any, get_args

import numpy as np

from kerasal.checks import check_choice, check_int
from kerasal.datasets.gaze_arrays import Fit, arrays
from kerasal.datasets.gaze_types import Shape
from kerasal.preprocessing import Preprocessing, get


def to_tf_data(
    data: Any,
    size: Shape,
    map_size: Shape,
    *,
    batch: int = 32,
    target: str = "density",
    sigma: float | str | None = None,
    preprocessing=None,
    target_range: str = "unit",
    fit: Fit = "stretch",
    augment: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    index: bool = False,
    drop_remainder: bool = False,
    empty: str = "error",
    cache: str | os.PathLike | None = None,
    progress: bool = False,
):
    """Return a ``tf.data.Dataset`` of (images (B, h, w, 3), maps (B, mh, mw)), float32, one pass over the data.

    All images are read and resized once, in threads, and kept as uint8 (and the maps as float32) in memory or, with
    ``cache``, in memory-mapped files. The order and the mirrored images of each pass depend on ``seed`` and the number
    of the pass alone, so that a training continued with ``epoch=e`` sees what it would have seen.

    Args:
        data: a ``GazeDataset``.
        size: (H, W) of the images.
        map_size: (H, W) of the maps.
        batch: images at a time.
        target: "density" (0..1), or "fixations" (counts).
        sigma: the densities' blur in pixels of the original image, see ``GazeDataset.density``.
        preprocessing: a convention of ``kerasal.preprocessing`` or a spelling of one; without, pixels 0..255.
        target_range: "unit", or "pm1" for densities as 2 y - 1 (Pan et al.).
        fit: "stretch" the image, or "crop" the largest centered part of ``size``'s shape, with its map.
        augment: mirror a random half of the images, each together with its map.
        shuffle: another order in every pass.
        seed: of the order and the mirroring.
        epoch: the number of the first pass; each further pass over the same ``Dataset`` is the next.
        index: give batches (images, maps, int32 numbers of the images) instead.
        drop_remainder: leave out a last batch that is not full.
        empty: "error" for images with nothing to train on, or "skip".
        cache: a folder for the arrays; what lies there from the same data and options is used again.
        progress: show a bar while images are read.

    Raises:
        ValueError: options that are not known, or images that cannot be read or have nothing to train on (named).
    """
    import tensorflow as tf

    check_choice("target", target, ("density", "fixations"))
    check_choice("target_range", target_range, ("unit", "pm1"))
    check_choice("fit", fit, get_args(Fit))
    check_choice("empty", empty, ("error", "skip"))
    check_int("batch", batch)
    convention = get(preprocessing or "none")
    kept, images, maps = arrays(
        data, size, map_size, target=target, sigma=sigma, fit=fit, empty=empty, cache=cache, progress=progress
    )
    last = len(kept) % batch if drop_remainder else 0
    count = len(kept) - last
    if not count:
        raise ValueError(f"batch: {batch} is more than the {len(kept)} images, and drop_remainder leaves none.")
    passes = iter(range(epoch, 2**31))

    def order():
        number = next(passes)
        random = np.random.default_rng([seed, number])
        places = random.permutation(len(kept)) if shuffle else np.arange(len(kept))
        mirrored = random.random(len(kept)) < 0.5 if augment else np.zeros(len(kept), bool)
        for start in range(0, count, batch):
            yield places[start : start + batch].astype(np.int32), mirrored[start : start + batch]

    def gather(places, mirrored):
        pixels, truth = images[places], maps[places]
        if augment:
            pixels[mirrored], truth[mirrored] = pixels[mirrored, :, ::-1], truth[mirrored, :, ::-1]
        if target_range == "pm1" and target == "density":
            truth = truth * 2 - 1
        return _scale(pixels, convention), truth, kept[places]

    def finish(places, mirrored):
        found = tf.numpy_function(gather, [places, mirrored], (tf.float32, tf.float32, tf.int32))
        shapes = ((None, *size, 3), (None, *map_size), (None,))
        shaped = tuple(tf.ensure_shape(part, shape) for part, shape in zip(found, shapes, strict=True))
        return shaped if index else shaped[:2]

    signature = (tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.bool))
    batches = tf.data.Dataset.from_generator(order, output_signature=signature)
    batches = batches.map(finish, num_parallel_calls=2, deterministic=True)
    return batches.apply(tf.data.experimental.assert_cardinality(-(-count // batch))).prefetch(2)


def _scale(pixels: np.ndarray, convention: Preprocessing) -> np.ndarray:
    """Do what ``convention.apply`` does, a row of pixels at a time: a loop over three channels would take ten times."""
    rows = (pixels[..., ::-1] if convention.bgr else pixels).reshape(*pixels.shape[:2], -1)
    mean, std = (np.asarray(values, np.float32) for values in (convention.mean, convention.std))
    mean, std = (np.tile(values, rows.shape[2] // values.size) for values in (mean, std))
    scaled = np.subtract(rows, mean, dtype=np.float32)
    scaled /= std
    return scaled.reshape(pixels.shape)
