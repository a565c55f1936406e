"""Convert a gaze data set to a ``tf.data.Dataset`` of batches for training."""

import os
from typing import Any, get_args

import numpy as np

from kerasal.checks import check_choice, check_int
from kerasal.datasets.gaze_arrays import Fit, load_arrays
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
    """Return a ``tf.data.Dataset`` of float32 batches (images (B, h, w, 3), maps (B, mh, mw)) for an epoch.

    All images are read and resized once and kept as uint8 (maps as float32) in memory or, with ``cache``, in
    memory-mapped files. Shuffling and mirroring depend only on ``seed`` and the number of the epoch, so training
    resumed with ``epoch=e`` sees the same batches as without the interruption.

    Args:
        data: a ``GazeDataset``.
        size: (H, W) of the images.
        map_size: (H, W) of the maps.
        batch: batch size.
        target: "density" (0..1) or "fixations" (counts) as maps.
        sigma: blur width of the densities in pixels of the original image, see ``GazeDataset.density``.
        preprocessing: a preprocessing of ``kerasal.preprocessing`` or its name; by default pixels are 0..255.
        target_range: "unit" for densities y in 0..1, or "pm1" for 2 y - 1 (Pan et al.).
        fit: "stretch" the image to ``size``, or "crop" the largest centered part with its aspect ratio.
        augment: mirror a random half of the images and their maps in each epoch.
        shuffle: shuffle the images in each epoch.
        seed: seed for shuffling and mirroring.
        epoch: number of the first epoch; each iteration over the ``Dataset`` is the next epoch.
        index: return batches of (images, maps, int32 indices of the images).
        drop_remainder: drop a last batch that is smaller than ``batch``.
        empty: "error" to refuse images without usable maps, or "skip" to leave them out.
        cache: folder for the arrays, which are reused for the same data and options.
        progress: show a progress bar while images are read.

    Raises:
        ValueError: an option is invalid, or images cannot be read or have no usable map.
    """
    import tensorflow as tf

    check_choice("target", target, ("density", "fixations"))
    check_choice("target_range", target_range, ("unit", "pm1"))
    check_choice("fit", fit, get_args(Fit))
    check_choice("empty", empty, ("error", "skip"))
    check_int("batch", batch)
    convention = get(preprocessing or "none")
    indices, images, maps = load_arrays(
        data, size, map_size, target=target, sigma=sigma, fit=fit, empty=empty, cache=cache, progress=progress
    )
    dropped = len(indices) % batch if drop_remainder else 0
    count = len(indices) - dropped
    if not count:
        raise ValueError(
            f"batch must be at most the number of images with drop_remainder, got {batch} for {len(indices)} images."
        )
    epochs = iter(range(epoch, 2**31))

    def draw_batches():
        epoch_number = next(epochs)
        random = np.random.default_rng([seed, epoch_number])
        rows = random.permutation(len(indices)) if shuffle else np.arange(len(indices))
        mirrored = random.random(len(indices)) < 0.5 if augment else np.zeros(len(indices), bool)
        for start in range(0, count, batch):
            yield rows[start : start + batch].astype(np.int32), mirrored[start : start + batch]

    def gather(rows, mirrored):
        pixels, truth = images[rows], maps[rows]
        if augment:
            pixels[mirrored], truth[mirrored] = pixels[mirrored, :, ::-1], truth[mirrored, :, ::-1]
        if target_range == "pm1" and target == "density":
            truth = truth * 2 - 1
        return _preprocess(pixels, convention), truth, indices[rows]

    def load_batch(rows, mirrored):
        loaded = tf.numpy_function(gather, [rows, mirrored], (tf.float32, tf.float32, tf.int32))
        shapes = ((None, *size, 3), (None, *map_size), (None,))
        shaped = tuple(tf.ensure_shape(part, shape) for part, shape in zip(loaded, shapes, strict=True))
        return shaped if index else shaped[:2]

    signature = (tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.bool))
    batches = tf.data.Dataset.from_generator(draw_batches, output_signature=signature)
    batches = batches.map(load_batch, num_parallel_calls=2, deterministic=True)
    return batches.apply(tf.data.experimental.assert_cardinality(-(-count // batch))).prefetch(2)


def _preprocess(pixels: np.ndarray, convention: Preprocessing) -> np.ndarray:
    """Return ``convention.apply(pixels)``, computed on whole rows, ten times faster than per channel."""
    rows = (pixels[..., ::-1] if convention.bgr else pixels).reshape(*pixels.shape[:2], -1)
    mean, std = (np.asarray(values, np.float32) for values in (convention.mean, convention.std))
    mean, std = (np.tile(values, rows.shape[2] // values.size) for values in (mean, std))
    scaled = np.subtract(rows, mean, dtype=np.float32)
    scaled /= std
    return scaled.reshape(pixels.shape)
