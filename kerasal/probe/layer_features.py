"""Features of several layers from a single forward pass over the images, pooled in the graph and stored in blocks."""

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

MEMORY = 2**31  # most bytes of features in memory; more are stored on disk
# A forward pass needs less memory than a gradient, so a batch has this many times more images than `chunk_size` allows.
_BATCH_FACTOR = 8


class Features:
    """Features of layers for the images of a source; after ``extract``, ``layers`` holds them by path."""

    def __init__(
        self, model: keras.Model, paths: Iterable[str], source: Files | Array, pool: int | None, store: FeatureStore
    ):
        self.model, self.source, self.pool, self.store = model, source, pool, store
        self._total = source.total or 0
        self._paths = list(paths)
        self.layers: dict[str, Layer] = {}
        self._temporary: tempfile.TemporaryDirectory | None = None

    def extract(self, batch_size: int | None = None, progress: bool = False) -> None:
        """Run the model on the images without stored features, once for all layers."""
        values = max(1, int(np.prod(self.source.shape)) // _BATCH_FACTOR)
        batch_size = batch_size or chunk_size([np.broadcast_to(0.0, (1, values))])
        self._prepare_layers()
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
                    results = self._run([layer.path for layer in wanted], inputs)
                    for layer, features in zip(wanted, results, strict=True):
                        layer.add(numbers, features)
                    advance(numbers[-1] + 1 - first)
                    first = numbers[-1] + 1
                for layer in wanted:
                    layer.finish()
        except KeyboardInterrupt:
            resumable = self.store.folder is not None and self._temporary is None
            where = f" Run the same call again to resume from {self.store.folder}." if resumable else ""
            raise KeyboardInterrupt(f"Stopped before all features were computed.{where}") from None

    def numbers(self) -> np.ndarray:
        """Return the numbers of the images that have features, in order."""
        return np.concatenate(next(iter(self.layers.values())).numbers())

    def close(self) -> None:
        """Remove the temporary folder of features that did not fit in memory."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def _run(self, paths: Sequence[str], inputs: np.ndarray) -> list[np.ndarray]:
        options = {"reduce": _pool_and_flatten, "pool": self.pool, "batch_size": len(inputs)}
        return list(hooks.activations(self.model, paths, inputs, **options).values())

    def _prepare_layers(self) -> None:
        """Compute the features of the first image, to get their length and to check those that are stored."""
        first = next(self.source.batches(1), None)
        if first is None:
            reasons = "; ".join(f"{name} ({reason})" for name, reason in self.source.skipped[:5])
            raise ValueError(f"images must contain a readable image, but there is none: {reasons}.")
        (number, *_), inputs = first
        for path, features in zip(self._paths, self._run(self._paths, inputs), strict=True):
            self.layers[path] = Layer(self.store, path, features.shape[1], self._total)
            self.layers[path].forget_if_changed(number, features[0])

    def _spill_if_large(self, wanted: Sequence[Layer]) -> None:
        total = 4 * self._total * sum(layer.length for layer in wanted)
        if self.store.folder is not None or total <= MEMORY:
            return
        self._temporary = tempfile.TemporaryDirectory(prefix="kerasal-features-")
        largest = max(wanted, key=lambda layer: layer.length)
        warnings.warn(
            f"The features take {total / 1e9:.1f} GB ({largest.path!r}: {largest.length:,} per image), too much for "
            f"memory. They are stored on disk in {self._temporary.name} until the probe is done. Use a smaller pool, "
            "such as pool=1, for fewer features.",
            stacklevel=4,
        )
        self.store.folder = pathlib.Path(self._temporary.name)


def _pool_and_flatten(values: tf.Tensor, pool: int | None) -> tf.Tensor:
    """Average each axis between the first and the last to at most ``pool`` cells; return flat features (N, d)."""
    shape = tf.shape(values)
    for axis in range(1, values.shape.rank - 1):
        if pool is None:
            break
        weights = _pooling_weights(shape[axis], pool)
        # A product for each image avoids transposing the maps, which are large in early layers.
        flat = tf.reshape(values, [tf.reduce_prod(shape[:axis]), shape[axis], tf.reduce_prod(shape[axis + 1 :])])
        shape = tf.concat([shape[:axis], tf.shape(weights)[:1], shape[axis + 1 :]], axis=0)
        values = tf.reshape(tf.matmul(weights, flat), shape)
    return tf.reshape(values, [shape[0], tf.reduce_prod(shape[1:])])


def _pooling_weights(length: tf.Tensor, pool: int) -> tf.Tensor:
    """Return weights (cells, length) that average an axis to at most ``pool`` equal cells.

    A value at the border of two cells is shared between them.
    """
    cells = tf.minimum(length, pool)
    width = tf.cast(length, tf.float32) / tf.cast(cells, tf.float32)
    low = (tf.cast(tf.range(cells), tf.float32) * width)[:, None]
    position = tf.cast(tf.range(length), tf.float32)[None]
    overlap = tf.minimum(low + width, position + 1) - tf.maximum(low, position)
    return tf.maximum(overlap, 0.0) / width


def randomize_weights(model: keras.Model, *, seed: int = 0) -> keras.Model:
    """Return a copy of a model with random weights.

    Kernels are drawn from N(0, 2 / fan-in), which preserves the scale of signals in a ReLU model (He et al. 2015,
    equation 10). Biases are 0, and normalization layers have scale and variance 1, and shift and mean 0.

    Args:
        model: a built functional or Sequential model; it is not changed.
        seed: seed of the weights.

    Raises:
        ValueError: if the model is subclassed, and so cannot be cloned by its layers.
    """
    try:
        copy = keras.models.clone_model(model)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(
            f"model must be a functional or Sequential model, got {model.name!r}, which cannot be cloned ({error}). "
            "Create a new instance of the model instead; its weights are random."
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
    # The fan-in is all axes but the last, except for depthwise kernels (h, w, channels, multiplier).
    fan_in_shape = weight.shape[:2] if "depthwise" in weight.path and len(weight.shape) == 4 else weight.shape[:-1]
    return random.normal(0.0, np.sqrt(2 / np.prod(fan_in_shape)), weight.shape).astype(np.float32)
