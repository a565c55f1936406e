"""The outputs of a model as targets read them: as logits, where these are explained and known."""

import warnings

from kerasal.hooks import softmax

import tensorflow as tf


class OutputReader:
    """Reads outputs of a model, and remembers what they come from.

    Attributes:
        kinds: "Softmax", "LogSoftmax" or "Sigmoid" by name, for outputs that come from one; the key None is the
            selected output.
        probabilities: names of the outputs that are the softmax or sigmoid itself, so that their values are in 0..1.
    """

    def __init__(self):
        self.kinds: dict[str | None, str] = {}
        self.probabilities: set[str | None] = set()
        self._has_warned = False

    def read(
        self, name: str | None, output: tf.Tensor, *, wants_logits: bool, classes_last: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Return an output as targets read it, the output itself, and the tensor that ranks classes if it differs.

        ``classes_last`` is whether the classes are on the last axis.

        Warns:
            NoLogits: once, the logits are wanted but not available, and the output itself is read.
        """
        info = softmax.find_logits(output, needed=wants_logits)
        if info is not None:
            self.kinds[name] = info.kind
            if info.plain and info.kind in ("Softmax", "Sigmoid"):
                self.probabilities.add(name)
        if info is None or not wants_logits:
            return output, output, None
        if info.logits is None:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(info.message(), softmax.NoLogits, stacklevel=2)
            return output, output, None
        keeps_order = info.keeps_order and (info.kind == "Sigmoid" or classes_last)
        return info.logits, output, None if keeps_order else output
