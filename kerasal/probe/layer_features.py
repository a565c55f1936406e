"""One forward pass over the images: the features of several layers, pooled in the graph, kept block by block."""

import pathlib
import tempfile
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from kerasal import hooks
from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_sources import Array, Files
from kerasal.probe.feature_store import FeatureStore, Layer
from kerasal.progress import progress_bar

import keras
import tensorflow as tf

MEMORY = 2**31  # bytes of features that are held in memory; more go to the disk
# A forward pass keeps few maps at once: this many times more images than for a gradient cost little, and run faster.
_MORE = 8


class Features:
    """The features of some layers for the images of a source; ``layers`` holds them by path after ``extract``."""

    def __init__(
        self, model: keras.Model, paths: Iterable[str], source: Files | Array, pool: int | None, store: FeatureStore
    ):
        self.model, self.source, self.pool, self.store = model, source, pool, store
        self._total = source.total or 0
        self._paths = list(paths)
        self.layers: dict[str, Layer] = {}
        self._temporary: tempfile.TemporaryDirectory | None = None

    def extract(self, batch_size: int | None = None, progress: bool = False) -> None:
        """Run the model over the images whose features are not kept yet, once for all layers."""
        values = max(1, int(np.prod(self.source.shape)) // _MORE)
        batch_size = batch_size or chunk_size([np.broadcast_to(0.0, (1, values))])
        self._look_at_one()
        missing = [(layer, layer.first_missing()) for layer in self.layers.values()]
        wanted = {layer: block * layer.size for layer, block in missing if block is not None}
        if not wanted:
            return
        self._spill_if_large(list(wanted))
        first = min(wanted.values())
        try:
            with progress_bar("Features", self._total, progress) as advance:
                advance(first)
                for numbers, inputs in self.source.batches(batch_size, first):
                    found = self._run([layer.path for layer in wanted], inputs)
                    for layer, features in zip(wanted, found, strict=True):
                        layer.add(numbers, features)
                    advance(numbers[-1] + 1 - first)
                    first = numbers[-1] + 1
                for layer in wanted:
                    layer.finish()
        except KeyboardInterrupt:
            kept = self.store.folder is not None and self._temporary is None
            where = f" What was computed is kept in {self.store.folder}; the same call goes on." if kept else ""
            raise KeyboardInterrupt(f"Stopped before all features were computed.{where}") from None

    def numbers(self) -> np.ndarray:
        """Return the numbers of the images that have features, in order."""
        return np.concatenate(next(iter(self.layers.values())).numbers())

    def close(self) -> None:
        """Remove what was on the disk only because it did not fit in memory."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def _run(self, paths: Sequence[str], inputs: np.ndarray) -> list[np.ndarray]:
        how = {"reduce": _flat, "pool": self.pool, "batch_size": len(inputs)}
        return list(hooks.activations(self.model, paths, inputs, **how).values())

    def _look_at_one(self) -> None:
        """Learn from one image how long the features are, and whether those that are kept still say the same."""
        first = next(self.source.batches(1), None)
        if first is None:
            named = "; ".join(f"{name} ({reason})" for name, reason in self.source.skipped[:5])
            raise ValueError(f"Not one image could be read: {named}.")
        (number, *_), inputs = first
        for path, features in zip(self._paths, self._run(self._paths, inputs), strict=True):
            self.layers[path] = Layer(self.store, path, features.shape[1], self._total)
            self.layers[path].forget_unless(number, features[0])

    def _spill_if_large(self, wanted: Sequence[Layer]) -> None:
        total = 4 * self._total * sum(layer.length for layer in wanted)
        if self.store.folder is not None or total <= MEMORY:
            return
        self._temporary = tempfile.TemporaryDirectory(prefix="kerasal-features-")
        largest = max(wanted, key=lambda layer: layer.length)
        warnings.warn(
            f"The features are {total / 1e9:.1f} GB ({largest.path!r}: {largest.length:,} an image), more than is held "
            f"in memory, so they lie on the disk, in {self._temporary.name}, until the probe is done. A small pool, "
            "such as pool=1, makes them few.",
            stacklevel=4,
        )
        self.store.folder = pathlib.Path(self._temporary.name)


def _flat(values: tf.Tensor, pool: int | None) -> tf.Tensor:
    """Return (N, d): every axis between the first and the last averaged to at most ``pool`` cells, then flattened."""
    shape = tf.shape(values)
    for axis in range(1, values.shape.rank - 1):
        if pool is None:
            break
        weights = _cells(shape[axis], pool)
        # One product for each image, and no transposition: the maps of early layers are large.
        flat = tf.reshape(values, [tf.reduce_prod(shape[:axis]), shape[axis], tf.reduce_prod(shape[axis + 1 :])])
        shape = tf.concat([shape[:axis], tf.shape(weights)[:1], shape[axis + 1 :]], axis=0)
        values = tf.reshape(tf.matmul(weights, flat), shape)
    return tf.reshape(values, [shape[0], tf.reduce_prod(shape[1:])])


def _cells(length: tf.Tensor, pool: int) -> tf.Tensor:
    """Return the weights (cells, length) that average an axis to at most ``pool`` equal cells, edges shared."""
    cells = tf.minimum(length, pool)
    width = tf.cast(length, tf.float32) / tf.cast(cells, tf.float32)
    low = (tf.cast(tf.range(cells), tf.float32) * width)[:, None]
    place = tf.cast(tf.range(length), tf.float32)[None]
    overlap = tf.minimum(low + width, place + 1) - tf.maximum(low, place)
    return tf.maximum(overlap, 0.0) / width


def randomized(model: keras.Model, *, seed: int = 0) -> keras.Model:
    """Return a copy of a model with random weights; the model stays as it is.

    Kernels are drawn from N(0, 2 / fan-in), under which a ReLU net passes signals on at the same strength (He et al.
    2015, equation 10); biases are 0, and normalizations do nothing (scale and variance 1, shift and mean 0).

    Args:
        model: a built functional or Sequential model.
        seed: of the weights.

    Raises:
        ValueError: a subclassed model, which cannot be copied by its layers.
    """
    try:
        copy = keras.models.clone_model(model)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(
            f"{model.name!r} cannot be copied layer by layer ({error}). Build it again from Python: its fresh weights "
            "are random."
        ) from error
    random = np.random.default_rng(seed)
    for weight in copy.weights:
        if weight.dtype.startswith(("float", "bfloat")):
            weight.assign(_draw_weight(weight, random))
    return copy


def _draw_weight(weight, random: np.random.Generator) -> np.ndarray:
    name = weight.path.rpartition("/")[2]
    if len(weight.shape) < 2:
        return np.full(weight.shape, float("gamma" in name or "variance" in name or "scale" in name), np.float32)
    # A depthwise kernel (h, w, channels, multiplier) sees one channel; every other sees all axes but the last.
    seen = weight.shape[:2] if "depthwise" in weight.path and len(weight.shape) == 4 else weight.shape[:-1]
    return random.normal(0.0, np.sqrt(2 / np.prod(seen)), weight.shape).astype(np.float32)
