"""What a model changes in itself whenever it runs, put back: recurrent states, seeds, counters.

A stateful ``LSTM`` goes on from where the last call ended, and a layer with noise moves its seed, also without
``training=True``. Within ``unchanged`` the model runs as ever and sees its own changes, which end with it. So each pass
begins from the same state: each of SmoothGrad's samples, each batch, the next call.
"""

import contextlib
import weakref
from collections.abc import Iterable, Iterator

from kerasal.hooks import paths

import keras
import tensorflow as tf

_ASSIGN = ("Assign", "ResourceScatter", "ResourceStridedSliceAssign", "RngReadAndSkip", "Stateful")
_READS = "_read_only_resource_inputs"  # where TensorFlow notes which variables a function only reads

_kinds: "weakref.WeakKeyDictionary[type, type | None]" = weakref.WeakKeyDictionary()
_known: "weakref.WeakKeyDictionary[keras.Model, tuple[str, int] | None]" = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Run ``model`` inside this context, in a graph or eagerly; what it assigns to its variables ends with it.

    Keras's variables are never written: the context holds their new values. A ``tf.Variable`` that is an attribute of
    a layer is written and put back.

    Raises:
        ValueError: the model changes something that cannot be put back: a variable that is no attribute of its layers,
            or one of Keras's within a loop or a compiled function of its own; or it creates variables.
    """
    graph = _graph()
    before = len(graph.get_operations()) if graph else 0
    kept = [(variable, variable.read_value()) for variable in _own_variables(model)]
    existing = len(model.variables)
    with _Changes(model, graph):
        try:
            yield
        finally:
            if not graph:
                _assign(kept)
    if len(model.variables) > existing:  # what the pass saw of them was a first value that the variables do not have
        raise ValueError(
            f"{model.name!r} creates variables when it runs. Call it once on a batch of inputs, then try again."
        )
    if graph:
        written = _written(graph.get_operations()[before:])
        known = {id(graph.capture(variable.handle)): (variable, value) for variable, value in kept}
        for tensor in written:
            if id(tensor) not in known:
                raise ValueError(_lost(model.name, tensor.op.name))
        _assign([known[id(tensor)] for tensor in written])


def state_rows(model: keras.Model) -> int | None:
    """Return for how many images stateful recurrent layers hold states, or None if the model has no such layer."""
    return (_first_states(model) or ("", None))[1]


def check_rows(model: keras.Model, rows: int) -> None:
    """Refuse a batch of another size than that of the states.

    Raises:
        ValueError: the model has a stateful recurrent layer, and its states are for another number of images.
    """
    path, wanted = _first_states(model) or ("", rows)
    if rows != wanted:
        raise ValueError(
            f"The layer {path!r} holds states of {wanted} sequences, so {model.name!r} takes batches of exactly "
            f"{wanted}, got {rows}."
        )


def note_states(model: keras.Model) -> None:
    """Look the states up anew: the model is not what it was when they were."""
    _known.pop(model, None)


def _first_states(model) -> tuple[str, int] | None:
    """Return the path of a stateful layer and the rows of its states; asked at every call, so looked up once."""
    if model not in _known:
        stateful = [one for one in paths.layers(model) if getattr(one[1], "stateful", False) is True]
        states = ((path, one) for path, layer in stateful for one in keras.tree.flatten(getattr(layer, "states", None)))
        variables = ((path, int(state.shape[0])) for path, state in states if isinstance(state, keras.Variable))
        _known[model] = next(variables, None)
    return _known[model]


class _Changes(keras.StatelessScope):
    """The new values of Keras's variables while a model runs; Keras reads and writes them here."""

    def __init__(self, model: keras.Model, graph):
        super().__init__()
        self._model, self._graph = model.name, graph

    def add_update(self, update):
        if _graph() is not self._graph:  # the new value is of no use outside of that loop or function
            raise ValueError(_lost(self._model, update[0].path))
        super().add_update(update)

    def get_current_value(self, variable):
        return self.state_mapping.get(id(variable), variable._value)


def _graph():
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _own_variables(model) -> list[tf.Variable]:
    """Return the TensorFlow variables that layers hold as attributes, alone or in lists and dictionaries."""
    found = {}
    for layer in [model, *(layer for _, layer in paths.layers(model))]:
        for value in vars(layer).values():
            kind = _kind(type(value))  # there are tens of thousands of attributes
            for one in (value,) if kind is tf.Variable else value.values() if kind is dict else value if kind else ():
                if _kind(type(one)) is tf.Variable:
                    found[id(one)] = one
    return list(found.values())


def _kind(cls: type) -> type | None:
    if cls not in _kinds:
        _kinds[cls] = next((kind for kind in (tf.Variable, dict, list, tuple) if issubclass(cls, kind)), None)
    return _kinds[cls]


def _written(operations) -> list[tf.Tensor]:
    """Return the variables from outside the graph that operations assign to, also in functions that they call."""
    found = {}
    for op in operations:
        if _READS in op.node_def.attr:
            numbers = set(range(len(op.inputs))) - set(op.get_attr(_READS))
        else:
            numbers = {0} if op.type.startswith(_ASSIGN) and len(op.inputs) else ()
        for number in numbers:
            tensor = op.inputs[number]
            if tensor.dtype == tf.resource and tensor.op.type == "Placeholder" and _is_variable(tensor):
                found[id(tensor)] = tensor
    return list(found.values())


def _is_variable(resource: tf.Tensor) -> bool:
    """Tell variables from tables and iterators: TensorFlow knows the shape of what they hold."""
    while tf.is_symbolic_tensor(resource):
        outside = [outer for outer, inner in getattr(resource.graph, "captures", ()) if inner is resource]
        if not outside:
            return False
        (resource,) = outside
    return resource._handle_data is not None and resource._handle_data.is_set


def _assign(pairs: Iterable[tuple[tf.Variable, tf.Tensor]]) -> None:
    for variable, value in pairs:
        variable.assign(value)


def _lost(model: str, variable: str) -> str:
    return (
        f"{model!r} changes the variable {variable!r} whenever it runs, where that cannot be put back: in a loop or a "
        "compiled function of its own, or in a variable that is no attribute of its layers. Assign it in the layer's "
        "own call, or only where training is True."
    )
