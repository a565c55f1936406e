"""What the class activation maps share: the layer's output and its gradient, and the map in the size of the inputs."""

import warnings
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from kerasal.compat.tf_keras_vis.layer_search import find_penultimate
from kerasal.compat.tf_keras_vis.visualization import (
    ModelVisualization,
    check_gradients,
    mean_scores,
    normalize,
)

import tensorflow as tf


class MixedPositions(UserWarning):
    """Attention mixes the positions of a layer later, so a class activation map of it localizes nothing."""


class ClassMap(ModelVisualization):
    """A class activation map of the last convolution, or of a layer that the caller names."""

    def _layer(self, layer: Any, seek: bool, inputs: list[tf.Tensor], training: bool) -> tuple[str, tf.Tensor, Any]:
        """Return the path of the layer, its output, and the function that puts it into (N, *positions, C).

        Raises:
            ValueError: there is no such layer, or its output has no positions and channels.
        """
        model = self._modified
        path = find_penultimate(model, layer, seek)
        output = self._compiled.layer_output(path, inputs, training)
        rank = output.shape.rank
        if rank < 3:
            raise ValueError(
                f"penultimate_layer must have an output (N, *positions, C), got {tuple(output.shape)} for {path!r}. "
                "Choose an earlier layer."
            )
        positions, mixing = self._compiled.positions(path, inputs)
        if positions is not None and positions.channel_axis == 1 and rank > 3:
            raise ValueError(
                f"penultimate_layer must have its channels last, but {path!r} has them first. Use "
                "kerasal.attribution, whose methods take both."
            )
        if mixing and layer is None:
            warnings.warn(
                f"Attention mixes the positions of {path!r}, the last convolution of {model.name!r}, before the score. "
                "Pass penultimate_layer with seek_penultimate_conv_layer=False, such as the normalization before the "
                "last attention.",
                MixedPositions,
                stacklevel=4,
            )
        ranks = {x.shape.rank for x in inputs}
        if rank in ranks:
            return path, output, lambda tensor: tensor
        if positions is None or len(positions.grid) + 2 not in ranks:
            raise ValueError(
                f"penultimate_layer must have a value per position of the input, but the positions of {path!r} "
                f"{tuple(output.shape)} are not known. Choose another layer."
            )
        return path, output, positions.to_map

    def _weighted(self, score, seed_input, layer, seek, training, unconnected_gradients) -> tuple:
        """Return inputs, the layer's output and its gradient, both (N, *positions, C), and the scores per output."""
        functions, inputs = self._scores(score), self._inputs(seed_input)
        with self._compiled.restored_seeds():
            path, output, to_map = self._layer(layer, seek, inputs, training)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(output)
                values = mean_scores(functions, self._compiled.outputs_after(path, output, inputs, training))
        gradient = tape.gradient(values, output, unconnected_gradients=unconnected_gradients)
        check_gradients([gradient], f"layer {path!r}")
        maps, gradient = self._full_precision(to_map(output)), self._full_precision(to_map(gradient))
        return inputs, maps, gradient, [self._full_precision(value) for value in values]

    def _finish(self, cam: Any, inputs: list[tf.Tensor], seed_input: Any, expand_cam: bool, normalize_cam: bool) -> Any:
        """Return the map in the size of each input; without ``expand_cam`` a single one in the size of the layer."""
        cam = np.asarray(cam)
        if not expand_cam:  # a tensor, as there
            return tf.convert_to_tensor(normalize(cam) if normalize_cam else cam)
        maps: list[Any] = [zoom(cam, zoom_factors(cam.shape, x.shape[: cam.ndim]), order=1) for x in inputs]
        return self._unwrap([normalize(x) for x in maps] if normalize_cam else maps, seed_input)


def zoom_factors(sizes, new_sizes) -> tuple[float, ...]:
    """Return the factor from each size to the new one."""
    return tuple(float(new) / float(old) for old, new in zip(sizes, new_sizes, strict=True))
