"""A method bound to a model, as a ``tf.Module`` to call in a loop, embed in a graph or save."""

from kerasal.hooks.positions import channel_axes
from kerasal.hooks.state import state_rows
from kerasal.hooks.trace import RetracingFunction
from kerasal.hooks.view import Settings, View
from kerasal.objectives import Objective, class_score, top_class
from kerasal.process import check_process

import keras
import tensorflow as tf


class CompiledMethod(tf.Module):
    """An attribution method for a fixed model: inputs (N, …) and optionally classes (N,) -> maps, as tensors.

    Without classes, each input's top class is explained. The two cases have a graph each, ``top`` and ``classes``,
    traced on first use and again if the model's structure has changed (``kerasal.hooks.Snapshot``); new values of its
    variables need no new trace. Inputs are neither checked nor split into batches. The module keeps a reference to the
    model and its variables.
    """

    def __init__(self, spec, model: keras.Model, output, logits: bool, options: dict):
        super().__init__(name=spec.name)
        self.model = model
        self._function, self._settings, self._options = spec.function, Settings(output, logits), options
        declared = getattr(model, "inputs", None) or []
        rows = state_rows(model)  # the fixed batch size of stateful recurrent layers, else None
        shapes: list[tuple] = [(rows, *tensor.shape[1:]) for tensor in declared]
        for number, channels in enumerate(channel_axes(model) if spec.any_size else ()):
            if len(shapes[number]) == (3 if channels is None else 4):  # images, whose height and width are left open
                shapes[number] = tuple(size if axis == channels else None for axis, size in enumerate(shapes[number]))
        specs = [tf.TensorSpec(shape, tf.float32, tensor.name) for shape, tensor in zip(shapes, declared, strict=True)]
        signature = specs if len(specs) > 1 else specs[0] if specs else None
        classes = tf.TensorSpec((rows,), tf.int32, "target")
        self._runs_top = RetracingFunction(self._top, [signature] if specs else None, model, options)
        self._runs_classes = RetracingFunction(self._classes, [signature, classes] if specs else None, model, options)

    @property
    def top(self) -> tf.types.experimental.PolymorphicFunction:
        """The ``tf.function`` of inputs, which explains each input's top class."""
        return self._runs_top.current()

    @property
    def classes(self) -> tf.types.experimental.PolymorphicFunction:
        """The ``tf.function`` of inputs and an (N,) int32 tensor of classes to explain."""
        return self._runs_classes.current()

    def __call__(self, inputs, target=None):
        """Return the maps as a tensor, or for a model with several inputs as a list of tensors."""
        check_process()
        return self.top(inputs) if target is None else self.classes(inputs, tf.saturate_cast(target, tf.int32))

    def _top(self, inputs):
        return self._run(inputs, top_class(), [])

    def _classes(self, inputs, target):
        return self._run(inputs, class_score(0), [target])

    def _run(self, inputs, objective: Objective, parameters):
        flat = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(inputs)]
        view = View(self.model, flat, objective.structure, parameters, self._settings.for_inputs(inputs))
        maps = [tf.cast(result, tf.float32) for result in self._function(view, **self._options)]
        return maps if len(maps) > 1 else maps[0]
