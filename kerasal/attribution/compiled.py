"""A method bound to one model, as a ``tf.Module``: what is called in a loop, put into a graph or saved."""

from kerasal.hooks.positions import channel_axes
from kerasal.hooks.state import state_rows
from kerasal.hooks.trace import RetracingFunction
from kerasal.hooks.view import Settings, View
from kerasal.objectives import Objective, class_score, top_class
from kerasal.process import check_process

import keras
import tensorflow as tf


class CompiledMethod(tf.Module):
    """Call with model inputs (N, …), and with an (N,) integer tensor to explain those classes instead of the top ones.

    One graph each for the two, ``top`` and ``classes``, traced on first use and again when the model has changed
    (``kerasal.hooks.Snapshot``); new values of its variables need no new trace. Tensors come back; nothing is checked
    and nothing is cut into chunks. The model is kept, and with it its variables.
    """

    def __init__(self, spec, model: keras.Model, output, logits: bool, options: dict):
        super().__init__(name=spec.name)
        self.model = model
        self._function, self._settings, self._options = spec.function, Settings(output, logits), options
        declared = getattr(model, "inputs", None) or []
        rows = state_rows(model)  # of stateful recurrent layers, which a batch of another size would not fit
        shapes: list[tuple] = [(rows, *tensor.shape[1:]) for tensor in declared]
        for number, channels in enumerate(channel_axes(model) if spec.any_size else ()):
            if len(shapes[number]) == 4:  # of images, which may be of any height and width
                shapes[number] = tuple(size if axis == channels else None for axis, size in enumerate(shapes[number]))
        specs = [tf.TensorSpec(shape, tf.float32, one.name) for shape, one in zip(shapes, declared, strict=True)]
        several = specs if len(specs) > 1 else specs[0] if specs else None
        classes = tf.TensorSpec((rows,), tf.int32, "target")
        self._runs_top = RetracingFunction(self._top, [several] if specs else None, model, options)
        self._runs_classes = RetracingFunction(self._classes, [several, classes] if specs else None, model, options)

    @property
    def top(self) -> tf.types.experimental.PolymorphicFunction:
        """The ``tf.function`` of inputs alone, which explains each input's top class."""
        return self._runs_top.current()

    @property
    def classes(self) -> tf.types.experimental.PolymorphicFunction:
        """The ``tf.function`` of inputs and an (N,) int32 tensor of classes."""
        return self._runs_classes.current()

    def __call__(self, inputs, target=None):
        """Return the maps, as one tensor or as a list with one for each of several inputs."""
        check_process()
        return self.top(inputs) if target is None else self.classes(inputs, tf.saturate_cast(target, tf.int32))

    def _top(self, inputs):
        return self._run(inputs, top_class(), [])

    def _classes(self, inputs, target):
        return self._run(inputs, class_score(0), [target])

    def _run(self, inputs, objective: Objective, parameters):
        flat = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(inputs)]
        view = View(self.model, flat, objective.structure, parameters, self._settings.for_inputs(inputs))
        maps = [tf.cast(one, tf.float32) for one in self._function(view, **self._options)]
        return maps if len(maps) > 1 else maps[0]
