"""A method's view of a model: runs, scores and gradients under a target, as tensors in a graph."""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kerasal.hooks import backward_rules
from kerasal.hooks.held_inputs import HeldInputs, refuse_independent
from kerasal.hooks.layout import Layout
from kerasal.hooks.output_reader import OutputReader
from kerasal.hooks.paths import name_outputs, pack, select_output
from kerasal.hooks.positions import position_sizes
from kerasal.hooks.run import Run, Settings, output_key
from kerasal.hooks.state import state_rows, unchanged
from kerasal.hooks.taps import NoGradient, differentiate, run_in_function, watch
from kerasal.objectives.expression import (
    functions_of,
    layers_of,
    names_outputs,
    output_kinds,
    scored_outputs,
    walk,
)
from kerasal.objectives.formulas import evaluate, pin, top_classes
from kerasal.objectives.model_outputs import ModelOutputs

import keras
import tensorflow as tf

_RENAMED = {"pinned": "pin", "repeated": "repeat"}  # old names that methods outside this package may still use


@dataclasses.dataclass(frozen=True)
class View:
    """A model while it is traced for a method. Each trace has its own view, which is freed with the trace.

    ``inputs`` holds one float32 tensor (N, …) per input of the model that is explained; ``held`` are the other inputs
    (``kerasal.hooks.held_inputs``). ``structure`` and ``parameters`` describe the
    objective. Scoring records in ``limits`` which indices have to be checked, and methods leave results of the tracing
    in ``notes``. ``layout`` holds the channel axes. Attribution methods see ``inputs`` channels last, and ``run``
    restores the layout that the model takes.
    """

    model: keras.Model
    inputs: list[tf.Tensor]
    structure: tuple
    parameters: list[tf.Tensor]
    settings: Settings = dataclasses.field(default_factory=Settings)
    limits: list = dataclasses.field(default_factory=list)
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    layout: Layout = dataclasses.field(default_factory=Layout)
    held: HeldInputs = dataclasses.field(default_factory=HeldInputs)
    _reader: OutputReader = dataclasses.field(default_factory=OutputReader, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that the objective needs."""
        return layers_of(self.structure)

    @property
    def repeatable(self) -> bool:
        """Whether copies of the images may share a batch: not with a callable target or a stateful layer."""
        return state_rows(self.model) is None and not functions_of(self.structure)

    def run(
        self,
        inputs: Sequence[tf.Tensor] | None = None,
        *,
        rule: str = "gradient",
        pooling: str = "max",
        taps: Iterable[str] = (),
        output: bool | None = None,
        separate_graph: bool | None = None,
        **watch_options: Any,
    ) -> Run:
        """Run the model on ``inputs`` (by default the view's inputs) in inference mode, and return outputs of layers.

        Changes of the model's state, such as recurrent states, are undone; see ``hooks.state``. An open gradient tape
        differentiates the results with respect to the inputs under ``rule`` and ``pooling``, and with the default rule
        and pooling also with respect to the tapped layers.

        Args:
            inputs: a tensor for each input of the model.
            rule: see ``kerasal.hooks.backward_rules``.
            pooling: see ``kerasal.hooks.backward_rules``.
            taps: names or paths of layers.
            output: whether to return the output. By default it is returned if the objective needs it, and the layers
                that the objective needs are tapped too.
            separate_graph: run the model in a separate graph function, which backward rules need; by default only then.
            **watch_options: further arguments of ``kerasal.hooks.taps.watch``.
        """
        inputs = self.inputs if inputs is None else list(inputs)
        wanted = self._reads_output() if output is None else output
        names = tuple(dict.fromkeys((*(self.layers if output is None else ()), *taps)))
        any_size = self.settings.any_size
        watch_options = {"any_size": any_size, "partial": any_size and bool(names), **watch_options}

        def run_model(*tensors) -> Any:
            reads = output is not False
            return self._run_in_graph(tensors, wanted, reads, taps=names, rule=rule, pooling=pooling, **watch_options)

        if separate_graph is None:
            separate_graph = bool(backward_rules.overrides(rule, pooling))
        results = run_in_function(run_model, inputs) if separate_graph else run_model(*inputs)
        selected, raw_output, ranking, layers, values, returned = results
        rows = tf.shape(inputs[0])[0]
        outputs = self.name_outputs(values, returned)
        return Run(selected, layers, rows, raw_output, selected if ranking is None else ranking, outputs)

    def score(self, at: "Run | Sequence[tf.Tensor] | None" = None) -> tf.Tensor:
        """Return the target's scores (N,) for a run or for inputs (by default the view's inputs)."""
        if self.settings.output is not None and names_outputs(self.structure) and not output_kinds(self.structure):
            raise ValueError(
                f"output must be None for a target that names the outputs it reads, got {self.settings.output!r}. Omit "
                "output, or pass a target that reads it."
            )
        run = at if isinstance(at, Run) else self.run(at)
        self.limits.clear()
        top = None if run.ranking is run.output else self._top_classes(run.ranking)
        # Built-in targets get the output and the layers channels last, a callable target the output as it is.
        layers = {name: self.layout.last(name, tensor) for name, tensor in run.layers.items() if name in self.layers}
        channels_last = self.layout.last(None, run.output)
        scores = evaluate(
            self.structure, self.parameters, run.output, layers, self.limits, top, channels_last, run.outputs
        )
        return tf.broadcast_to(scores, [run.rows])

    def name_outputs(self, values: Mapping[str, tf.Tensor], returned: Mapping[str, tf.Tensor]) -> ModelOutputs:
        """Return the outputs of a run by name: as targets read them (``values``) and as the model returned them."""
        shapes = [tuple(x.shape) for x in self.held.join(self.layout.to_model(self.inputs))] if returned else []
        return ModelOutputs(
            values,
            returned,
            self._reader.kinds,
            self._reader.probabilities,
            self.settings.logits,
            lambda name, tensor: self.layout.last(output_key(name), tensor),
            lambda: position_sizes(self.model, shapes),
            self.model.name,
        )

    def gradient(self, inputs: Sequence[tf.Tensor] | None = None, *, rule: str = "gradient") -> list[tf.Tensor]:
        """Return the gradient of each image's score under a rule: a tensor per input, in the shape of the input."""
        inputs = self.inputs if inputs is None else list(inputs)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            scores = self.score(self.run(inputs, rule=rule))
        try:
            return differentiate(tape, scores, inputs)
        except NoGradient as error:
            refuse_independent(self, scores, inputs, error)
            raise

    def pin(self, at: "Run | tf.Tensor | None" = None) -> "View":
        """Return this view with each image's top class as a fixed target, if the target is the top class.

        ``at`` is a run or an output (N, classes) that decides the class; by default the model runs on the view's
        inputs.
        """
        if not any(node[0] == "top" for node in walk(self.structure)):
            return self
        if at is None:
            run = self.run()
            self.score(run)  # records limits of the user's parameters; TensorFlow prunes its unused nodes
            at = run.raw_output
        classes = self._top_classes(at.ranking if isinstance(at, Run) else at)
        structure, parameters = pin(self.structure, self.parameters, classes)
        return dataclasses.replace(self, structure=structure, parameters=parameters, limits=[])

    def repeat(self, times: tf.Tensor | int) -> "View":
        """Return this view for ``times`` copies of the batch of images, copy after copy."""
        rows = tf.shape(self.inputs[0])[0]
        parameters = []
        for parameter in self.parameters:
            inner = tf.shape(parameter)[1:]
            rows_of_parameter = tf.broadcast_to(parameter, tf.concat([[rows], inner], axis=0))
            parameters.append(tf.tile(rows_of_parameter, tf.concat([[times], tf.ones_like(inner)], axis=0)))
        return dataclasses.replace(self, parameters=parameters)

    def __getattr__(self, name: str) -> Any:
        if name in _RENAMED:
            warnings.warn(f"view.{name} is called view.{_RENAMED[name]} now.", DeprecationWarning, stacklevel=2)
            return getattr(self, _RENAMED[name])
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _reads_output(self) -> bool:
        """Return whether the objective reads the selected output, or reads nothing and so explains that output."""
        return bool(output_kinds(self.structure)) or not (self.layers or names_outputs(self.structure))

    def _reads_by_name(self, outputs: Mapping[str, Any]) -> bool:
        """Return whether the objective reads outputs by name, as a function does if no single output is selected."""
        unselected = self.settings.output is None and len(outputs) > 1
        return names_outputs(self.structure) or (unselected and "callable" in output_kinds(self.structure))

    def _run_in_graph(
        self, inputs: Sequence[tf.Tensor], wanted: bool, by_name: bool, *, taps: Sequence[str], **watch_options: Any
    ) -> tuple:
        """Run the model in the current graph; return (output, raw output, ranking, layers) as in ``Run``.

        The ranking is None if the output itself decides the top class. Then follow all outputs by name, as targets read
        them and as the model returns them, if the objective reads them and ``by_name`` is set; else empty dictionaries.
        """
        outputs, explained = None, self.layout.to_model(inputs)
        replaced = self.held.replacements(explained)
        watched_taps = tuple(dict.fromkeys((*taps, *replaced)))
        if replaced:
            watch_options["replacements"] = replaced | (watch_options.get("replacements") or {})
        operations = tf.compat.v1.get_default_graph().get_operations
        before = len(operations())
        with unchanged(self.model), watch(self.model, taps=watched_taps, **watch_options) as layers:
            outputs = self.model(pack(self.model, self.held.join(explained), self.settings.names), training=False)
        layers = {name: layers[name] for name in layers if name in taps}
        raw_output: Any = None
        returned = name_outputs(self.model, outputs) if outputs is not None else {}
        by_name = by_name and self._reads_by_name(returned)
        if outputs is not None and not (by_name and output_kinds(self.structure) == {"callable"}):
            try:
                raw_output = select_output(self.model, outputs, self.settings.output)
            except ValueError:
                if wanted:
                    raise
        named = {None: raw_output} if tf.is_tensor(raw_output) else {}
        keyed = {output_key(name): tensor for name, tensor in returned.items()} if by_name else {}
        self.layout.note(explained, operations()[before:], layers | named | keyed)
        values = self._read_outputs(returned) if by_name else {}
        by_names = values, returned if by_name else {}
        if not wanted or raw_output is None:
            return None, raw_output if named else None, None, layers, *by_names
        return *self._read_output(None, raw_output), layers, *by_names

    def _read_outputs(self, returned: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return all outputs as targets read them; those that the target does not read as scores need no logits."""
        scored, names = scored_outputs(self.structure), list(returned)
        everything = "callable" in output_kinds(self.structure)
        return {
            name: self._read_output(name, tensor, everything or name in scored or names.index(name) in scored)[0]
            for name, tensor in returned.items()
        }

    def _read_output(self, name: str | None, output: tf.Tensor, is_scored: bool = True) -> tuple:
        """Return an output as targets read it, the output itself, and the ranking tensor if it differs."""
        wants_logits = self.settings.logits and is_scored
        return self._reader.read(name, output, wants_logits=wants_logits, classes_last=self.layout.is_last(None))

    def _top_classes(self, output: Any) -> tf.Tensor:
        """Return the index of each image's top class, (N,) int32."""
        return top_classes(self.layout.last(None, output))
