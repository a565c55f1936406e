"""What a routine sees: inputs, scores and gradients of one model under one target, as tensors in a graph."""

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from kerasal.hooks import engine, softmax
from kerasal.hooks import model_outputs as model_outputs
from kerasal.hooks.layout import Layout
from kerasal.hooks.model_inputs import pack
from kerasal.hooks.state import state_rows, unchanged
from kerasal.objectives.expression import needs_output, walk
from kerasal.objectives.formulas import evaluate, pin, top_classes

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class View:
    """A model, watched: built anew for each trace, and gone with it.

    ``inputs`` holds one float32 tensor (N, …) for each input of the model. ``structure`` and ``parameters`` are those
    of the objective, ``output`` says which output is meant, ``logits`` leaves out its softmax or sigmoid. ``any_size``
    lets the layers be run on images of another size than the model declares; above them it may then fail, in peace. In
    ``notes`` a routine leaves what it found out while tracing. ``layout`` knows where channels are; under a method of
    attribution it has turned images to channels last, and turns them back for the model.
    """

    model: keras.Model
    inputs: list[tf.Tensor]
    structure: tuple
    layers: tuple[str, ...]
    parameters: list[tf.Tensor]
    output: str | int | None
    logits: bool
    example: Any
    limits: list
    any_size: bool = False
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    _outputs: dict[Any, tf.Tensor] = dataclasses.field(default_factory=dict, repr=False)
    layout: Layout = dataclasses.field(default_factory=Layout)

    def run(self, inputs: Sequence[tf.Tensor], *, taps: Iterable[str] = (), **watched: Any):
        """Run the model, without training behaviour; return its outputs and the tapped layers' outputs.

        Whatever the model changes in itself, such as recurrent states, is put back; see ``hooks.state``.
        ``watched`` are further arguments of ``hooks.watch``. The outputs are None where the run ended below them.
        """
        outputs, taps = None, tuple(taps)
        watched = {"any_size": self.any_size, "partial": self.any_size and bool(taps), **watched}
        own, operations = self.layout.to_model(inputs), tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        with unchanged(self.model), engine.watch(self.model, taps=taps, **watched) as seen:
            outputs = self.model(pack(self.model, own, self.example), training=False)
        self.layout.note(own, operations()[before:], seen if outputs is None else seen | self._chosen(outputs))
        return outputs, seen

    def look(
        self,
        inputs: Sequence[tf.Tensor],
        *,
        rule: str = "gradient",
        taps: Iterable[str] = (),
        output: bool | None = None,
        **watched: Any,
    ) -> tuple[tf.Tensor | None, dict[str, tf.Tensor]]:
        """Run the model; return the output that is meant, or its logits, and the tapped layers' outputs.

        ``output`` says whether the output is wanted; None means where the objective needs it, and then its layers are
        tapped too. ``watched`` are further arguments of ``hooks.watch``.
        """
        layers = self.layers if output is None else ()
        outputs, seen = self.run(inputs, rule=rule, taps=dict.fromkeys((*layers, *taps)), **watched)
        wanted = (not self.layers or needs_output(self.structure)) if output is None else output
        if not wanted:
            return None, seen
        chosen = model_outputs.select(self.model, outputs, self.output)
        return self._logits(chosen) if self.logits else chosen, seen

    def _logits(self, output: tf.Tensor) -> tf.Tensor:
        found = softmax.find(output)
        if found is None:
            return output
        if found.logits is None:
            if self._outputs.setdefault("lost", output) is output:  # once per trace
                warnings.warn(found.message(), model_outputs.NoLogits, stacklevel=2)
            return output
        if not found.ranks or (found.kind != "Sigmoid" and not self.layout.is_last(None)):
            self._outputs[found.logits.ref()] = output
        return found.logits

    def ranking(self, output: tf.Tensor) -> tf.Tensor:
        """Return what decides which class is the top one: ``look``'s output, or the model's where its logits do not."""
        return self._outputs.get(output.ref(), output)

    def _chosen(self, outputs) -> dict[None, tf.Tensor]:
        """Return the output that is meant, under the name None, where it can be told by now."""
        try:
            chosen = model_outputs.select(self.model, outputs, self.output)
        except ValueError:  # said where the output is needed
            return {}
        return {None: chosen} if tf.is_tensor(chosen) else {}

    def evaluate(self, structure: tuple, parameters: Sequence, output, seen: dict, limits: list, top=None) -> tf.Tensor:
        """Return the scores of a structure; its formulas see the output and the layers channels last."""
        seen = {name: self.layout.last(name, tensor) for name, tensor in seen.items() if name in self.layers}
        return evaluate(structure, parameters, output, seen, limits, top, turned=self.layout.last(None, output))

    def top_classes(self, output: tf.Tensor) -> tf.Tensor:
        """Return the number of each image's top class, (N,) int32, of the output that is meant."""
        return top_classes(self.layout.last(None, self.ranking(output)))

    def value(self, output: tf.Tensor | None, seen: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the objective's scores, (N,), of what ``look`` gave for the view's own number of images."""
        return self._evaluate(output, seen, self.inputs)

    def score(
        self, inputs: Sequence[tf.Tensor] | None = None, *, rule: str = "gradient", taps: Sequence[str] = ()
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Run the model at ``inputs`` (its own by default); return the (N,) scores and the tapped layers' outputs."""
        inputs = self.inputs if inputs is None else list(inputs)
        output, seen = self.look(inputs, rule=rule, taps=taps)
        return self._evaluate(output, seen, inputs), seen

    def _evaluate(self, output: tf.Tensor | None, seen: dict[str, tf.Tensor], inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        self.limits.clear()
        top = None if output is None or self.ranking(output) is output else self.top_classes(output)
        scores = self.evaluate(self.structure, self.parameters, output, seen, self.limits, top)
        return tf.broadcast_to(scores, tf.shape(inputs[0])[:1])

    def pinned(self) -> "View":
        """Return this view with each image's top class, if that is the target, fixed to what it is at these inputs."""
        if not any(node[0] == "top" for node in walk(self.structure)):
            return self
        self.score()  # notes the limits of the parameters that the user gave; its own nodes are pruned
        return self.pinned_by(self.predict(self.inputs))

    def predict(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the output that is meant, as the model gives it, at some inputs."""
        return model_outputs.select(self.model, self.run(inputs)[0], self.output)

    def pinned_by(self, output: tf.Tensor) -> "View":
        """Return this view with each image's top class, if that is the target, read off ``output`` (N, classes)."""
        structure, parameters = pin(self.structure, self.parameters, self.top_classes(output))
        return dataclasses.replace(self, structure=structure, parameters=parameters, limits=[])

    @property
    def repeatable(self) -> bool:
        """Whether any number of images fits; a user's function may count on that of the view, and so do states."""
        return state_rows(self.model) is None and not any(node[0] == "callable" for node in walk(self.structure))

    def repeated(self, times: tf.Tensor | int) -> "View":
        """Return this view for ``times`` as many images: all of its images, then all of them again, and so on."""
        rows = tf.shape(self.inputs[0])[0]
        parameters = []
        for parameter in self.parameters:
            inner = tf.shape(parameter)[1:]
            each = tf.broadcast_to(parameter, tf.concat([[rows], inner], axis=0))
            parameters.append(tf.tile(each, tf.concat([[times], tf.ones_like(inner)], axis=0)))
        return dataclasses.replace(self, parameters=parameters)

    def gradient(self, inputs: Sequence[tf.Tensor] | None = None, *, rule: str = "gradient") -> list[tf.Tensor]:
        """Return the gradient of each image's score by each input, in the inputs' shapes, under a backward rule."""
        inputs = self.inputs if inputs is None else list(inputs)
        scores, _ = self.score(inputs, rule=rule)
        return engine.gradients(scores, inputs)
