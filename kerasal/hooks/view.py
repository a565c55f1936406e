"""What a routine sees: runs, scores and gradients of one model under one target, as tensors in a graph."""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kerasal.hooks import backward_rules, softmax
from kerasal.hooks.layout import Layout
from kerasal.hooks.paths import pack, select_output
from kerasal.hooks.state import state_rows, unchanged
from kerasal.hooks.taps import differentiate, run_in_function, watch
from kerasal.objectives.expression import layers_of, needs_output, walk
from kerasal.objectives.formulas import evaluate, pin, top_classes

import keras
import tensorflow as tf

_RENAMED = {"pinned": "pin", "repeated": "repeat"}  # for methods outside of this package


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is asked of a model beside the target.

    ``output`` says which output is meant, ``logits`` leaves out its softmax or sigmoid. ``names`` are those of the
    inputs where the user gave them by name. ``any_size`` lets the layers be run on images of another size than the
    model declares; above them it may then fail silently.
    """

    output: str | int | None = None
    logits: bool = True
    names: tuple[str, ...] | None = None
    any_size: bool = False

    def for_inputs(self, inputs: Any) -> "Settings":
        """Return these settings with the names of a user's inputs, if they have any."""
        return dataclasses.replace(self, names=tuple(inputs) if isinstance(inputs, Mapping) else None)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a model gave for some images.

    ``output`` is the output that is meant, or its logits; None where nobody asked for it. ``raw_output`` is that output as
    the model gives it, where it can be told; ``ranking`` is which of the two decides what the top class is. ``layers``
    holds the outputs of the tapped layers by name, and ``rows`` the number of images.
    """

    output: tf.Tensor | None
    layers: dict[str, tf.Tensor]
    rows: tf.Tensor
    raw_output: tf.Tensor | None = None
    ranking: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class View:
    """A model, watched: built anew for each trace, and freed with it.

    ``inputs`` holds one float32 tensor (N, …) for each input of the model. ``structure`` and ``parameters`` are those
    of the objective. In ``limits`` scoring notes the indices to check, in ``notes`` a routine leaves what it found out
    while tracing. ``layout`` knows where channels are; under a method of attribution it has turned images to channels
    last, and turns them back for the model.
    """

    model: keras.Model
    inputs: list[tf.Tensor]
    structure: tuple
    parameters: list[tf.Tensor]
    settings: Settings = dataclasses.field(default_factory=Settings)
    limits: list = dataclasses.field(default_factory=list)
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    layout: Layout = dataclasses.field(default_factory=Layout)
    _warned: list = dataclasses.field(default_factory=list, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that the objective needs."""
        return layers_of(self.structure)

    @property
    def repeatable(self) -> bool:
        """Whether any number of images fits; a user's function may count on that of the view, and so do states."""
        return state_rows(self.model) is None and not any(node[0] == "callable" for node in walk(self.structure))

    def run(
        self,
        inputs: Sequence[tf.Tensor] | None = None,
        *,
        rule: str = "gradient",
        pooling: str = "max",
        taps: Iterable[str] = (),
        output: bool | None = None,
        separate_graph: bool | None = None,
        **watched: Any,
    ) -> Run:
        """Run the model at ``inputs`` (the view's own by default) without training behavior, and tap layers.

        Whatever the model changes in itself, such as recurrent states, is put back; see ``hooks.state``. A tape that is
        open differentiates what comes back by the inputs, under ``rule`` and ``pooling``; without those also by the
        tapped layers.

        Args:
            inputs: one tensor for each input.
            rule: see ``kerasal.hooks.backward_rules``.
            pooling: likewise.
            taps: names or paths of layers.
            output: whether the output is wanted; None: where the objective needs it, whose layers are then tapped too.
            separate_graph: run as a graph of its own, which rules need; by default where there are any.
            **watched: further arguments of ``kerasal.hooks.taps.watch``.
        """
        inputs = self.inputs if inputs is None else list(inputs)
        wanted = (not self.layers or needs_output(self.structure)) if output is None else output
        names = tuple(dict.fromkeys((*(self.layers if output is None else ()), *taps)))
        watched = {"any_size": self.settings.any_size, "partial": self.settings.any_size and bool(names), **watched}

        def look(*tensors) -> Any:
            return self._look(tensors, wanted, taps=names, rule=rule, pooling=pooling, **watched)

        if separate_graph is None:
            separate_graph = bool(backward_rules.overrides(rule, pooling))
        found, given, ranked, layers = run_in_function(look, inputs) if separate_graph else look(*inputs)
        return Run(found, layers, tf.shape(inputs[0])[0], given, found if ranked is None else ranked)

    def score(self, at: "Run | Sequence[tf.Tensor] | None" = None) -> tf.Tensor:
        """Return the target's (N,) scores of a run, or at some inputs (the view's own by default)."""
        run = at if isinstance(at, Run) else self.run(at)
        self.limits.clear()
        top = None if run.ranking is run.output else self._top_classes(run.ranking)
        # The formulas see the output and the layers channels last, a user's function the output as it is.
        seen = {name: self.layout.last(name, tensor) for name, tensor in run.layers.items() if name in self.layers}
        turned = self.layout.last(None, run.output)
        scores = evaluate(self.structure, self.parameters, run.output, seen, self.limits, top, turned=turned)
        return tf.broadcast_to(scores, [run.rows])

    def gradient(self, inputs: Sequence[tf.Tensor] | None = None, *, rule: str = "gradient") -> list[tf.Tensor]:
        """Return the gradient of each image's score by each input, in the inputs' shapes, under a backward rule."""
        inputs = self.inputs if inputs is None else list(inputs)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            scores = self.score(self.run(inputs, rule=rule))
        return differentiate(tape, scores, inputs)

    def pin(self, at: "Run | tf.Tensor | None" = None) -> "View":
        """Return this view with each image's top class, if that is the target, fixed to what it is now.

        ``at`` is a run, or outputs (N, classes), that say which class that is; by default the model as it is at the
        view's inputs.
        """
        if not any(node[0] == "top" for node in walk(self.structure)):
            return self
        if at is None:
            run = self.run()
            self.score(run)  # notes the limits of the parameters that the user gave; its own nodes are pruned
            at = run.raw_output
        classes = self._top_classes(at.ranking if isinstance(at, Run) else at)
        structure, parameters = pin(self.structure, self.parameters, classes)
        return dataclasses.replace(self, structure=structure, parameters=parameters, limits=[])

    def repeat(self, times: tf.Tensor | int) -> "View":
        """Return this view for ``times`` as many images: all of its images, then all of them again, and so on."""
        rows = tf.shape(self.inputs[0])[0]
        parameters = []
        for parameter in self.parameters:
            inner = tf.shape(parameter)[1:]
            each = tf.broadcast_to(parameter, tf.concat([[rows], inner], axis=0))
            parameters.append(tf.tile(each, tf.concat([[times], tf.ones_like(inner)], axis=0)))
        return dataclasses.replace(self, parameters=parameters)

    def __getattr__(self, name: str) -> Any:
        if name in _RENAMED:
            warnings.warn(f"view.{name} is now view.{_RENAMED[name]}.", DeprecationWarning, stacklevel=2)
            return getattr(self, _RENAMED[name])
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _look(self, inputs: Sequence[tf.Tensor], wanted: bool, **watched: Any) -> tuple:
        """Run the model in the current graph; return (output, given, ranked if it is not the output, layers)."""
        outputs, own = None, self.layout.to_model(inputs)
        operations = tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        with unchanged(self.model), watch(self.model, **watched) as layers:
            outputs = self.model(pack(self.model, own, self.settings.names), training=False)
        given: Any = None
        if outputs is not None:
            try:
                given = select_output(self.model, outputs, self.settings.output)
            except ValueError:
                if wanted:
                    raise
        named = {None: given} if tf.is_tensor(given) else {}
        self.layout.note(own, operations()[before:], layers | named)
        if not wanted or outputs is None:
            return None, given if named else None, None, layers
        output, ranked = self._logits(given) if self.settings.logits else (given, None)
        return output, given, ranked, layers

    def _logits(self, output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return the logits of an output, or itself, and what ranks the classes if that is another."""
        found = softmax.find(output)
        if found is None:
            return output, None
        if found.logits is None:
            if not self._warned:
                self._warned.append(output.name)
                warnings.warn(found.message(), softmax.NoLogits, stacklevel=2)
            return output, None
        ranks = found.ranks and (found.kind == "Sigmoid" or self.layout.is_last(None))
        return found.logits, None if ranks else output

    def _top_classes(self, output: Any) -> tf.Tensor:
        """Return the number of each image's top class, (N,) int32."""
        return top_classes(self.layout.last(None, output))
