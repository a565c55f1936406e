"""LayerCAM, as tf-keras-vis computes it."""

from typing import Any

from kerasal.compat.tf_keras_vis.gradcam import Gradcam

import tensorflow as tf


class Layercam(Gradcam):
    """The channels of a layer, weighted by their positive gradients per position (Jiang et al. 2021, equation 5)."""

    def __call__(
        self,
        score,
        seed_input,
        penultimate_layer=None,
        seek_penultimate_conv_layer=True,
        gradient_modifier=lambda grads: tf.nn.relu(grads),
        activation_modifier=lambda cam: tf.nn.relu(cam),
        training=False,
        expand_cam=True,
        normalize_cam=True,
        unconnected_gradients=tf.UnconnectedGradients.NONE,
    ) -> Any:
        """Return the map of each input, (N, *positions), in 0..1; a list if ``seed_input`` is a list.

        The arguments and errors are those of ``Gradcam``, but ``gradient_modifier`` keeps positive gradients.
        """
        return super().__call__(
            score,
            seed_input,
            penultimate_layer=penultimate_layer,
            seek_penultimate_conv_layer=seek_penultimate_conv_layer,
            gradient_modifier=gradient_modifier,
            activation_modifier=activation_modifier,
            training=training,
            expand_cam=expand_cam,
            normalize_cam=normalize_cam,
            unconnected_gradients=unconnected_gradients,
        )

    def _weights(self, gradient: tf.Tensor) -> tf.Tensor:
        return gradient
