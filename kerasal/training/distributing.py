"""One net on several devices: a copy under a strategy's scope, whose weights go back to the caller's net."""

import contextlib

from kerasal import _keras  # noqa: F401

import keras  # isort: skip
import tensorflow as tf  # isort: skip


class Replicas:
    """The net that is trained: the caller's own, or its copy under ``tf.distribute.MirroredStrategy``.

    Raises:
        ValueError: another strategy than None or ``"mirrored"``.
    """

    def __init__(self, net: keras.Model, strategy: str | None):
        if strategy not in (None, "mirrored"):
            raise ValueError(f'strategy is None or "mirrored". Received: {strategy!r}.')
        self._own, self.net, self.strategy = net, net, None
        if strategy == "mirrored":
            # Two logical CPUs are a strategy too: that is how one machine without GPUs tests this.
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
            with self.strategy.scope():
                self.net = keras.models.clone_model(net)
            self.net.set_weights(net.get_weights())

    def scope(self) -> contextlib.AbstractContextManager:
        """Return the context in which variables are made."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def check_batches(self, images: int, batch_size: int) -> None:
        """Refuse batches of fewer images than there are devices: a device without an image has no mean.

        Raises:
            ValueError: the last batch of an epoch would be such a one.
        """
        devices = 1 if self.strategy is None else self.strategy.num_replicas_in_sync
        if (smallest := images % batch_size or batch_size) < devices:
            raise ValueError(
                f"The last batch of an epoch of {images} images has {smallest}, fewer than the {devices} devices. "
                f"Choose another batch size than {batch_size}."
            )

    def give_back(self) -> None:
        """Bring the trained weights to the caller's net."""
        if self.net is not self._own:
            self._own.set_weights(self.net.get_weights())
