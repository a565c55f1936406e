"""Score-CAM and Faster-Score-CAM, as tf-keras-vis computes them."""

from typing import Any

import numpy as np
from tf_keras_vis.utils import get_num_of_steps_allowed
from tf_keras_vis.utils.scores import CategoricalScore

from kerasal.checks import check_int, is_int
from kerasal.compat.tf_keras_vis.class_maps import ClassMap
from kerasal.compat.tf_keras_vis.visualization import modify_result
from kerasal.maximization.eager_calls import call_score
from kerasal.maximization.user_calls import describe

import keras
import tensorflow as tf


class Scorecam(ClassMap):
    """The channels of a layer, weighted by the score of the input that each of them masks (Wang et al. 2020)."""

    def __call__(
        self,
        score,
        seed_input,
        penultimate_layer=None,
        seek_penultimate_conv_layer=True,
        activation_modifier=lambda cam: tf.nn.relu(cam),
        batch_size=32,
        max_N=None,
        training=False,
        expand_cam=True,
        normalize_cam=True,
    ) -> Any:
        """Return the map of each input, (N, *positions), in 0..1; a list if ``seed_input`` is a list.

        Score functions get the softmax of the model's output, as in tf-keras-vis, so ``ReplaceToLinear`` is not needed
        for a model that ends in logits. Channels without any variation mask all of the input, and share a pass.

        Args:
            score: as for ``Gradcam``; an output must be (N, classes).
            seed_input: as for ``Gradcam``.
            penultimate_layer: as for ``Gradcam``.
            seek_penultimate_conv_layer: as for ``Gradcam``.
            activation_modifier: function of the map before it is enlarged, or None.
            batch_size: number of masked inputs per pass.
            max_N: number of channels of each image to use, those with the largest standard deviation; None or a number
                below 1 for all. A channel that one image uses is used for all.
            training: run the pass whose channels are weighted in training mode.
            expand_cam: enlarge the map to the size of each input; otherwise a single map of the layer's size.
            normalize_cam: scale each map to 0..1.

        Raises:
            ValueError: as for ``Gradcam``; ``max_N`` is above the number of channels; or a score function returns
                another number of scores than there are images.

        Warns:
            MixedPositions: attention follows the last convolution.
        """
        batch_size = 32 if batch_size is None else check_int("batch_size", batch_size)  # None as in Keras' predict
        if max_N is not None and not is_int(max_N):
            raise ValueError(f"max_N must be an integer or None, got {max_N!r}.")
        functions, inputs = self._scores(score), self._inputs(seed_input)
        with self._compiled.restored_seeds():
            _, maps, to_map = self._layer(penultimate_layer, seek_penultimate_conv_layer, inputs, training)
        maps = self._full_precision(to_map(maps))
        channels: Any = maps.shape[-1]
        if max_N is not None and max_N > channels:
            raise ValueError(f"max_N must be at most {channels}, the number of channels, got {max_N}.")
        kept = get_num_of_steps_allowed(channels if max_N is None or max_N <= 0 else max_N)
        if kept < channels:
            maps = _varied_channels(maps, kept)
        predictions = self._predict(maps, inputs, batch_size)
        weights = sum(
            _channel_weights(function, tf.nn.softmax(prediction), len(inputs[0]))
            for function, prediction in zip(functions, predictions, strict=True)
        )
        cam = tf.einsum("n...c,nc->n...", maps, tf.cast(weights, maps.dtype))
        cam = modify_result(activation_modifier, cam, "activation_modifier")
        return self._finish(cam, inputs, seed_input, expand_cam, normalize_cam)

    def _predict(self, maps: tf.Tensor, inputs: list[tf.Tensor], batch_size: int) -> list[np.ndarray]:
        """Return the outputs for inputs that each channel masks, (channels, N, classes) for each output."""
        sizes: Any = maps.shape.as_list()
        images, channels = sizes[0], sizes[-1]
        planes = tf.transpose(maps, [maps.shape.rank - 1, 0, *range(1, maps.shape.rank - 1)])
        planes = tf.reshape(planes, [-1, *maps.shape[1:-1]])  # (channels · N, *positions)
        rows = np.arange(channels * images)
        flat = tf.reshape(planes, [len(rows), -1])
        varied = (tf.reduce_max(flat, axis=1) > tf.reduce_min(flat, axis=1)).numpy()
        # A channel without variation masks everything, which is the same input for all such channels of an image.
        blank = rows[~varied]
        same_as = np.where(varied, rows, -1)
        for image in range(images):
            of_image = blank[blank % images == image]
            same_as[of_image] = of_image[:1]
        chosen = np.unique(same_as)
        parts = []
        for start in range(0, len(chosen), batch_size):
            numbers = chosen[start : start + batch_size]
            covered = [_mask(x, tf.gather(planes, numbers), numbers % images) for x in inputs]
            parts.append([tf.cast(x, tf.float32).numpy() for x in self._compiled.outputs(covered)])
        places = np.searchsorted(chosen, same_as)
        outputs = [np.concatenate(pieces)[places] for pieces in zip(*parts, strict=True)]
        for output in outputs:
            if output.ndim != 2:
                raise ValueError(
                    f"The output of {self._modified.name!r} must be (N, classes) for Scorecam, got (N, "
                    f"{', '.join(map(str, output.shape[1:]))})."
                )
        return [output.reshape(channels, images, -1) for output in outputs]


ScoreCAM = Scorecam


def _varied_channels(maps: tf.Tensor, kept: int) -> tf.Tensor:
    """Return the channels with the largest standard deviation: the first ``kept`` of each image, in that order."""
    deviations = tf.math.reduce_std(maps, axis=list(range(1, maps.shape.rank - 1)))
    order = tf.unique(tf.reshape(tf.math.top_k(deviations, kept).indices, [-1])).y
    return tf.gather(maps, order, axis=-1)


def _mask(x: tf.Tensor, planes: tf.Tensor, images: np.ndarray) -> tf.Tensor:
    """Return inputs, each times a plane enlarged to its size, linearly between the corners, and scaled to 0..1."""
    enlarged: Any = planes
    sizes: Any = planes.shape.as_list()
    new_sizes: Any = x.shape.as_list()
    for size, new_size in zip(sizes[1:], new_sizes[1:], strict=False):
        matrix = _enlargement(size, new_size)
        enlarged = tf.tensordot(enlarged, tf.constant(matrix, planes.dtype), [[1], [0]])  # the axis becomes the last
    axes = list(range(1, planes.shape.rank))
    lowest = tf.reduce_min(enlarged, axis=axes, keepdims=True)
    range_ = tf.reduce_max(enlarged, axis=axes, keepdims=True) - lowest
    shares = (enlarged - lowest) / (range_ + keras.config.epsilon())
    return tf.gather(x, images) * tf.cast(tf.expand_dims(shares, -1), x.dtype)


def _enlargement(size: int, new_size: int) -> np.ndarray:
    """Return the matrix (size, new_size) of linear interpolation whose first and last values are kept."""
    places = np.arange(new_size) * ((size - 1) / max(new_size - 1, 1))
    low = np.clip(np.floor(places).astype(int), 0, size - 1)
    share = places - low
    matrix = np.zeros((size, new_size))
    np.add.at(matrix, (low, np.arange(new_size)), 1 - share)
    np.add.at(matrix, (np.minimum(low + 1, size - 1), np.arange(new_size)), share)
    return matrix


def _channel_weights(function: Any, probabilities: tf.Tensor, images: int) -> np.ndarray:
    """Return the score of each image when each channel masks it, (N, channels)."""
    indices = function.indices if type(function) is CategoricalScore else ()
    if len(indices) in (1, images) and all(map(is_int, indices)):
        classes = np.broadcast_to(indices, images)
        if max(classes) < probabilities.shape[-1]:
            return np.stack([probabilities.numpy()[:, image, index] for image, index in enumerate(classes)])
    weights = []
    for probability in probabilities:
        value = call_score(function, probability)
        count = value.shape[0] if hasattr(value, "shape") and len(value.shape) else None
        count = len(value) if isinstance(value, (list, tuple)) else count
        try:
            numbers: Any = np.reshape(np.asarray(value, np.float32), (images, -1))
        except (TypeError, ValueError):
            numbers = np.zeros(0)
        if not numbers.size or (count != images and not (count is None and images == 1)):
            got = describe(value)
            raise ValueError(f"score must return {images} scores, one per image, got {got}. Index its argument.")
        numbers = numbers.mean(axis=1)
        if not np.isfinite(numbers).all():
            raise ValueError(f"score must be finite, got {numbers}. Check its arithmetic.")
        weights.append(numbers)
    return np.stack(weights, axis=1)
