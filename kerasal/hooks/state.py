"""Undoing changes that a model makes to its own state in a forward pass: recurrent states, seeds, counters.

A stateful ``LSTM`` continues from the last call, and a layer with noise advances its seed even without
``training=True``. Inside ``unchanged`` the model runs as usual and sees its own changes, which are undone afterwards.
Therefore each pass starts from the same state: each noisy sample of SmoothGrad, each batch and the next call.
"""

import contextlib
import weakref
from collections.abc import Iterable, Iterator

from kerasal.hooks import paths

import keras
import tensorflow as tf

_ASSIGN = ("Assign", "ResourceScatter", "ResourceStridedSliceAssign", "RngReadAndSkip", "Stateful")
_READS = "_read_only_resource_inputs"  # TensorFlow lists here the variables that a function reads but does not assign

_kinds: "weakref.WeakKeyDictionary[type, type | None]" = weakref.WeakKeyDictionary()
_state_cache: "weakref.WeakKeyDictionary[keras.Model, tuple[str, int] | None]" = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Run ``model`` inside this context, in a graph or eagerly, and undo its assignments to variables.

    Keras variables are never written: the context holds their new values. A ``tf.Variable`` that is an attribute of a
    layer is written and then restored.

    Raises:
        ValueError: the model changes a variable that cannot be restored: a variable that is not an attribute of a
            layer, or a Keras variable inside a loop or a compiled function; or it creates variables.
    """
    graph = _graph()
    before = len(graph.get_operations()) if graph else 0
    saved = [(variable, variable.read_value()) for variable in _layer_variables(model)]
    existing = len(model.variables)
    with _Changes(model, graph):
        try:
            yield
        finally:
            if not graph:
                _assign(saved)
    if len(model.variables) > existing:  # the pass used initial values that the variables no longer have
        raise ValueError(
            f"{model.name!r} must have all its variables, but it created some in this run. Call it once on a batch of "
            "inputs, then try again."
        )
    if graph:
        assigned = _assigned_variables(graph.get_operations()[before:])
        known = {id(graph.capture(variable.handle)): (variable, value) for variable, value in saved}
        for tensor in assigned:
            if id(tensor) not in known:
                raise ValueError(_cannot_restore_message(model.name, tensor.op.name))
        _assign([known[id(tensor)] for tensor in assigned])


def state_rows(model: keras.Model) -> int | None:
    """Return the batch size of the states of stateful recurrent layers, or None if the model has no such layer."""
    return (_first_states(model) or ("", None))[1]


def check_rows(model: keras.Model, rows: int) -> None:
    """Check that a batch has the size that stateful recurrent layers need.

    Raises:
        ValueError: the states of a layer are for another number of images.
    """
    path, size = _first_states(model) or ("", rows)
    if rows != size:
        raise ValueError(
            f"A batch for {model.name!r} must have exactly {size} images, the batch size of the states of layer "
            f"{path!r}, got {rows}."
        )


def forget_states(model: keras.Model) -> None:
    """Remove the model from the cache of state sizes, after a change of the model."""
    _state_cache.pop(model, None)


def _first_states(model) -> tuple[str, int] | None:
    """Return the path of a stateful layer and the batch size of its states; cached because every call needs it."""
    if model not in _state_cache:
        stateful = [(path, layer) for path, layer in paths.layers(model) if getattr(layer, "stateful", False) is True]
        states = (
            (path, state) for path, layer in stateful for state in keras.tree.flatten(getattr(layer, "states", None))
        )
        variables = ((path, int(state.shape[0])) for path, state in states if isinstance(state, keras.Variable))
        _state_cache[model] = next(variables, None)
    return _state_cache[model]


class _Changes(keras.StatelessScope):
    """A scope that holds the new values of Keras variables while a model runs."""

    def __init__(self, model: keras.Model, graph):
        super().__init__()
        self._model, self._graph = model.name, graph

    def add_update(self, update):
        if _graph() is not self._graph:  # the new value is not available outside that loop or function
            raise ValueError(_cannot_restore_message(self._model, update[0].path))
        super().add_update(update)

    def get_current_value(self, variable):
        return self.state_mapping.get(id(variable), variable._value)


def _graph():
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _layer_variables(model) -> list[tf.Variable]:
    """Return the TensorFlow variables that are attributes of layers, also in lists and dictionaries."""
    variables = {}
    for layer in [model, *(layer for _, layer in paths.layers(model))]:
        for value in vars(layer).values():
            kind = _kind(type(value))  # cached, since there are tens of thousands of attributes
            items = (value,) if kind is tf.Variable else value.values() if kind is dict else value if kind else ()
            for item in items:
                if _kind(type(item)) is tf.Variable:
                    variables[id(item)] = item
    return list(variables.values())


def _kind(cls: type) -> type | None:
    if cls not in _kinds:
        _kinds[cls] = next((kind for kind in (tf.Variable, dict, list, tuple) if issubclass(cls, kind)), None)
    return _kinds[cls]


def _assigned_variables(operations) -> list[tf.Tensor]:
    """Return the variables from outside the graph that operations, or functions that they call, assign to."""
    variables = {}
    for op in operations:
        if _READS in op.node_def.attr:
            numbers = set(range(len(op.inputs))) - set(op.get_attr(_READS))
        else:
            numbers = {0} if op.type.startswith(_ASSIGN) and len(op.inputs) else ()
        for number in numbers:
            tensor = op.inputs[number]
            if tensor.dtype == tf.resource and tensor.op.type == "Placeholder" and _is_variable(tensor):
                variables[id(tensor)] = tensor
    return list(variables.values())


def _is_variable(resource: tf.Tensor) -> bool:
    """Return whether a resource is a variable and not a table or iterator: TensorFlow knows the shape of its value."""
    while tf.is_symbolic_tensor(resource):
        outside = [outer for outer, inner in getattr(resource.graph, "captures", ()) if inner is resource]
        if not outside:
            return False
        (resource,) = outside
    return resource._handle_data is not None and resource._handle_data.is_set


def _assign(pairs: Iterable[tuple[tf.Variable, tf.Tensor]]) -> None:
    for variable, value in pairs:
        variable.assign(value)


def _cannot_restore_message(model: str, variable: str) -> str:
    return (
        f"{model!r} must not change the variable {variable!r} in inference mode, since the change cannot be undone: it "
        "happens in a loop or compiled function, or the variable is not an attribute of a layer. Assign it in the "
        "layer's own call, or only if training is True."
    )
