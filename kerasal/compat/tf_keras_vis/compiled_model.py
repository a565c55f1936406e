"""A model as compiled functions that a ``GradientTape`` outside them differentiates by the inputs or by a layer."""

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kerasal import hooks
from kerasal.compat.tf_keras_vis.layer_search import run_of_output
from kerasal.compat.tf_keras_vis.model_modifiers import Modification, linear_outputs
from kerasal.hooks import paths, taps
from kerasal.hooks.layer_maps import trace_positions
from kerasal.hooks.map_positions import Positions
from kerasal.hooks.positions import mixing_operation
from kerasal.hooks.state import check_rows, unchanged
from kerasal.hooks.trace import remember
from kerasal.hooks.view import View
from kerasal.objectives import top_class

import keras
import tensorflow as tf


class CompiledModel:
    """Compiled functions of a model and its modification, shared by all instances for the same model.

    Nothing is cloned: the layer to extract is tapped, activations are replaced while the model is traced, and the
    backward rule is that of the traced graph. Derivatives by weights are left out, which an outer tape would compute.
    """

    def __init__(self, model: keras.Model, modification: Modification):
        self.model, self.modification = model, modification

    def outputs(self, inputs: Sequence[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        """Return the outputs of the modified model."""
        return self._run(inputs, training, None, None)

    def layer_output(self, path: str, inputs: Sequence[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Return the output of a layer."""
        return self._run(inputs, training, path, None)[0]

    def outputs_after(self, path: str, tensor: tf.Tensor, inputs, training: bool = False) -> list[tf.Tensor]:
        """Return the outputs with ``tensor`` as the output of a layer, by which a tape can differentiate them."""
        return self._run(inputs, training, path, tensor)

    def positions(self, path: str, inputs: Sequence[tf.Tensor]) -> tuple[Positions | None, str | None]:
        """Return the positions of a layer's output, and the operation that mixes them later; None if not known."""
        specs = tuple(_spec(tensor, tensor.shape[0]) for tensor in inputs)
        return self._remember(("positions", path), specs, lambda: self._trace_positions(path, specs))

    @contextlib.contextmanager
    def restored_seeds(self) -> Iterator[None]:
        """Restore the seeds of random layers at the end; passes in training mode advance them."""
        saved = [(variable, variable.numpy()) for variable in _seeds(self.model)]
        try:
            yield
        finally:
            for variable, value in saved:
                variable.assign(value)

    def _run(self, inputs, training, path, tensor) -> list[tf.Tensor]:
        inputs = list(inputs)
        check_rows(self.model, len(inputs[0]))
        specs = [_spec(x, self._declared_rows(number, len(x))) for number, x in enumerate(inputs)]
        if tensor is not None:
            specs.append(_spec(tensor, None))
        replaced = tensor is not None
        key = ("run", path, replaced, bool(training))
        make = functools.partial(_compile, self.model, self.modification, tuple(specs), path, replaced, bool(training))
        function = self._remember(key, tuple(specs), make)
        results, seeds = function(*inputs, *([tensor] if replaced else []))
        for variable, value in zip(_seeds(self.model) if seeds else [], seeds, strict=True):
            if path is None or replaced:  # both parts of a pass start from the same seeds
                variable.assign(value)
        return list(results)

    def _declared_rows(self, number: int, rows: int) -> int | None:
        """Return the number of images that the model declares, None for any.

        A Sequential model that was built by a call declares the number of that call, and takes any.
        """
        declared = getattr(self.model, "inputs", None) or []
        return rows if number < len(declared) and declared[number].shape[0] == rows else None

    def _remember(self, key: tuple, specs: tuple, make: Callable[[], Any]) -> Any:
        shapes = tuple((tuple(spec.shape), spec.dtype.name) for spec in specs)
        return remember(self.model, ("tf_keras_vis", self.modification, *key, shapes), make, settle=True)

    def _trace_positions(self, path: str, specs) -> tuple[Positions | None, str | None]:
        found = []

        def run(*tensors):
            kinds = dict(paths.layers(self.model))
            graph, runs = tf.compat.v1.get_default_graph(), {}
            before = len(graph.get_operations())
            view = View(self.model, [tf.cast(x, tf.float32) for x in tensors], top_class().structure, [])
            view.run(taps=kinds, output=False, lenient=True, runs=runs)
            operations = graph.get_operations()[before:]
            tracer = trace_positions(view, view.inputs, operations, runs, kinds)
            tensor = runs[path][run_of_output(self.model, path)]
            positions = tracer.positions(tensor)
            place = operations.index(tensor.op) if tensor.op in operations else -1
            mixing = positions and mixing_operation(tensor, operations[place + 1 :], positions.channel_axis)
            found.append((positions, mixing))

        tf.function(run, autograph=False).get_concrete_function(*specs)
        return found[0]


class _Constants(keras.StatelessScope):
    """A scope in which weights are constants for gradients, and new values of variables stay in the scope."""

    def get_current_value(self, variable):
        value = self.state_mapping.get(id(variable), variable._value)
        return tf.stop_gradient(value) if variable.dtype.startswith(("float", "bfloat")) else value


def _compile(model, modification: Modification, specs: tuple, path: str | None, replaced: bool, training: bool):
    """Return a compiled function of tensors of ``specs`` that returns (outputs or a layer's output, new seeds)."""
    reference = weakref.ref(model)

    def run(*tensors):
        model: Any = reference()
        *inputs, tensor = tensors if replaced else (*tensors, None)
        runs: dict[str, list] = {}
        replacements: Any = {}
        if replaced:  # one run of a layer that runs several times
            chosen = run_of_output(model, str(path))
            replacements[path] = lambda output, number: tensor if number == chosen else output
        layer = modification.layer
        tapped = [name for name in (layer, path) if name is not None]
        outputs = None
        rule = "guided" if modification.guided else "gradient"
        activations, reads_logits = linear_outputs(model, modification)
        with contextlib.ExitStack() as stack:
            stack.enter_context(unchanged(model))
            stack.enter_context(taps.watch(model, taps=tapped, runs=runs, replacements=replacements, rule=rule))
            for activated in activations:
                stack.enter_context(taps.replace_attribute(activated, "activation", keras.activations.linear))
            stack.enter_context(_Constants())
            outputs = model(paths.pack(model, inputs), training=training)
            seeds = [tf.convert_to_tensor(variable.value) for variable in _seeds(model)] if training else []
        if path is not None and not replaced:
            return [runs[path][run_of_output(model, path)]], seeds
        results = [runs[layer][run_of_output(model, layer)]] if layer is not None else keras.tree.flatten(outputs)
        return [hooks.logits(x) if reads_logits(number) else x for number, x in enumerate(results)], seeds

    return tf.function(run, autograph=False).get_concrete_function(*specs)


def _spec(tensor: tf.Tensor, rows: int | None) -> tf.TensorSpec:
    return tf.TensorSpec((rows, *tensor.shape[1:]), tensor.dtype)


def _seeds(model: keras.Model) -> list[keras.Variable]:
    """Return the states of the seed generators of a model."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
