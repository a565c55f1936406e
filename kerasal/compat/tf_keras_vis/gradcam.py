"""Grad-CAM, as tf-keras-vis computes it."""

from typing import Any

from kerasal.compat.tf_keras_vis.class_maps import ClassMap
from kerasal.compat.tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from kerasal.compat.tf_keras_vis.visualization import modify_result

import tensorflow as tf

__all__ = ["Gradcam", "GradcamPlusPlus"]


class Gradcam(ClassMap):
    """The channels of a layer, weighted by their mean gradients (Selvaraju et al. 2017, equations 1 and 2)."""

    def __call__(
        self,
        score,
        seed_input,
        penultimate_layer=None,
        seek_penultimate_conv_layer=True,
        gradient_modifier=None,
        activation_modifier=lambda cam: tf.nn.relu(cam),
        training=False,
        expand_cam=True,
        normalize_cam=True,
        unconnected_gradients=tf.UnconnectedGradients.NONE,
    ) -> Any:
        """Return the map of each input, (N, *positions), in 0..1; a list if ``seed_input`` is a list.

        Args:
            score: a ``Score`` of tf-keras-vis or a function from an output (N, …) to scores of the images, N of them;
                a list or dictionary for several outputs.
            seed_input: the inputs, with or without the batch axis; a list or dictionary for several inputs.
            penultimate_layer: the layer whose channels are weighted: an index, a name or path at any depth, or a layer.
                By default the last one.
            seek_penultimate_conv_layer: take the last convolution that is not after this layer.
            gradient_modifier: function of the layer's gradient, or None.
            activation_modifier: function of the map before it is enlarged, or None.
            training: run the model in training mode. Its weights and statistics stay unchanged.
            expand_cam: enlarge the map to the size of each input; otherwise a single map of the layer's size.
            normalize_cam: scale each map to 0..1.
            unconnected_gradients: the gradient by a layer on which the score does not depend; NONE is an error.

        Raises:
            ValueError: as for ``Saliency``; or there is no such layer, no convolution, or no position in its output.

        Warns:
            MixedPositions: attention follows the last convolution.
        """
        inputs, maps, gradient, _ = self._weighted(
            score, seed_input, penultimate_layer, seek_penultimate_conv_layer, training, unconnected_gradients
        )
        gradient = modify_result(gradient_modifier, gradient, "gradient_modifier", broadcast=True)
        cam = tf.reduce_sum(self._weights(gradient) * maps, axis=-1)
        cam = modify_result(activation_modifier, cam, "activation_modifier")
        return self._finish(cam, inputs, seed_input, expand_cam, normalize_cam)

    def _weights(self, gradient: tf.Tensor) -> tf.Tensor:
        """Return the weight of each channel, (N, 1, …, C)."""
        return tf.reduce_mean(gradient, axis=list(range(1, gradient.shape.rank - 1)), keepdims=True)
