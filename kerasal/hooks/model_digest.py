"""The digest of a model: by it a stored result is known as this model's, in another process too, and by no other's.

A model is what it computes: its layers by class, settings and connections, the code of functions and of classes that
are not Keras's, plain attributes, and values, those of variables and of tensors that are none. Names are not part of
it, which a counter gives, nor is what training alone uses.
"""

import enum
import functools
import os
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.digests import Encoder, digest_file
from kerasal.hooks import paths
from kerasal.hooks.user_code import (
    class_parts,
    code_parts,
    full_name,
    function_parts,
    is_own,
    is_own_module,
    names_in_call,
    object_parts,
    without_layers,
)

import keras
import tensorflow as tf

_UNUSED = ("_initializer", "_regularizer", "_constraint")
_UNUSED_NAMES = {"name", "trainable", "initializer", "regularizer", "constraint", "filepath", "seed"}
_OF_TRAINING = {"optimizer", "history", "stop_training", "_compile_config", "_compiled_trainable_state"}
_OF_TRAINING |= {"_eval_epoch_iterator", "_functional", "output_names", "stop_predicting", "stop_evaluating"}


def digest_model(model: keras.Model, *, weights: bool = True) -> str:
    """Return 32 hexadecimal digits that change with what ``model`` computes; the same model elsewhere has the same.

    Args:
        model: any built model.
        weights: ``False`` leaves out the values of variables, which a training changes, but not their shapes.

    What cannot be seen: an object of another library, or of compiled code, counts by its class alone.
    """
    return _Encoder(weights).add(model).digest


class _Encoder(Encoder):
    """Also takes layers, functions, classes and plain objects, each by the digest of its parts, which is kept."""

    def __init__(self, weights: bool, known: dict[int, tuple[Any, str]] | None = None):
        super().__init__()
        self._weights, self._known = weights, {} if known is None else known

    def fresh(self) -> "_Encoder":
        """Return an empty encoder that knows the same objects."""
        return _Encoder(self._weights, self._known)

    def add_other(self, value: Any) -> None:
        """Add an object by its parts; within themselves, as in a cycle, they count by their class."""
        key = id(value)
        if key not in self._known:
            self._known[key] = value, "cycle"  # the value too: an id belongs to what is alive
            self._known[key] = value, self.fresh().add(self._parts(value)).digest
        self.add(self._known[key][1])

    def _parts(self, value: Any) -> Any:
        for kinds, parts in self._kinds:
            if isinstance(value, kinds):
                return parts(self, value)
        return object_parts(value)

    def _variable(self, variable) -> tuple:
        shape, dtype = tuple(variable.shape), tf.as_dtype(variable.dtype).name
        return ("variable", shape, dtype, np.asarray(variable) if self._weights else None)

    def _operation(self, operation: Any) -> tuple:
        own = is_own(type(operation))
        layer, model = isinstance(operation, keras.Layer), isinstance(operation, keras.Model)
        graph = hasattr(operation, "_nodes_by_depth")
        return (
            class_parts(type(operation)),
            None if model or not layer else _settings(operation),
            _attributes(operation) if own or not layer else _values(operation),
            list(operation.weights) if layer else [],
            keras.tree.flatten(operation.states) if getattr(operation, "stateful", False) is True else [],
            [] if not layer or graph else operation._flatten_layers(include_self=False, recursive=False),
            _graph(operation) if graph else None,
            _digest_program(operation.filepath) if isinstance(operation, keras.layers.TFSMLayer) else None,
        )

    _kinds: tuple[tuple[Any, Callable], ...] = (
        ((keras.Variable, tf.Variable), _variable),
        (keras.Operation, _operation),
        (keras.KerasTensor, lambda _, tensor: ("tensor", tuple(tensor.shape), str(tensor.dtype))),
        (tf.Tensor, lambda _, tensor: np.asarray(tensor) if hasattr(tensor, "numpy") else str(tensor.shape)),
        ((tf.DType, tf.TensorShape), lambda _, value: str(value)),
        (enum.Enum, lambda _, value: (full_name(type(value)), value.name)),
        (type, lambda _, value: class_parts(value)),
        (types.ModuleType, lambda _, module: ("module", module.__name__, _numbers(module))),
        (types.FunctionType, lambda _, function: function_parts(function)),
        (types.MethodType, lambda _, method: ("method", method.__func__, method.__self__)),
        (types.CodeType, lambda _, code: code_parts(code)),
        ((staticmethod, classmethod), lambda _, value: (type(value).__name__, value.__func__)),
        (property, lambda _, value: ("property", value.fget)),
        (functools.partial, lambda _, value: ("partial", value.func, value.args, value.keywords)),
    )


def _settings(layer: keras.Layer) -> Any:
    """Return a layer's settings as they are now; functions themselves in the place of their names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = layer.get_config()
    except Exception:  # a class of the user's raises anything, and then counts by its attributes
        return None
    settings = {}
    for key, value in found.items():
        if key in _UNUSED_NAMES or key.endswith(_UNUSED):
            continue
        now = getattr(layer, key, None)
        settings[key] = now if isinstance(now, (types.FunctionType, types.MethodType, functools.partial)) else value
    return without_layers(settings)


def _attributes(operation: keras.Operation) -> dict[str, Any]:
    """Return what a class that is not Keras's, or an operation, keeps beside what every layer has.

    Names of Keras's own count where the class's call reads them; collections of the addresses of layers do not, which
    every process has others of.
    """
    read = names_in_call(type(operation)) if is_own(type(operation)) else ()
    layers = paths.layers(operation) if isinstance(operation, keras.Model) else []
    addresses = {id(layer) for _, layer in layers}
    return {
        key: value
        for key, value in vars(operation).items()
        if (key not in _bookkeeping() or key in read) and not _are_addresses(value, addresses)
    }


def _are_addresses(value: Any, addresses: set[int]) -> bool:
    are_numbers = isinstance(value, (set, list, tuple)) and value and all(type(one) is int for one in value)
    return bool(are_numbers) and addresses.issuperset(value)


def _values(layer: keras.Layer) -> dict[str, Any]:
    """Return what decides the outputs of one of Keras's own layers and is neither a variable nor a setting."""
    found = {key: value for key, value in _attributes(layer).items() if _is_state(value) or key == "call"}
    if hasattr(layer, "get_vocabulary"):
        found["vocabulary"] = list(map(str, layer.get_vocabulary()))
    return found


def _is_state(value: Any) -> bool:
    """Tell what ``adapt`` leaves in a layer, tensors, arrays and lists of floats, from what it counts as it runs."""
    floats = isinstance(value, list) and bool(value) and all(isinstance(one, (float, np.floating)) for one in value)
    return floats or isinstance(value, (np.ndarray, tf.Tensor))


@functools.cache
def _bookkeeping() -> frozenset[str]:
    """Return the attributes that Keras itself gives to any layer, model or operation."""
    named: Any = {"name": "any"}  # without one, each would move Keras's counters of names on
    inputs = keras.Input((1,), **named)
    kinds = (keras.layers.Layer(**named), keras.Sequential(**named), keras.Model(inputs, inputs, **named))
    return frozenset(_OF_TRAINING.union(*map(vars, (*kinds, keras.Operation(**named)))))


def _graph(model: keras.Model) -> tuple:
    """Return the calls of a functional model in their order, tensors numbered as they come up, and the outputs."""
    numbers = {id(tensor): number for number, tensor in enumerate(model.inputs)}

    def numbered(value):
        return ("tensor", numbers[id(value)]) if id(value) in numbers else value

    calls = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                arguments = [node.arguments.args, node.arguments.kwargs]
                calls.append((node.operation, keras.tree.map_structure(numbered, arguments), len(node.outputs)))
                for tensor in node.outputs:
                    numbers.setdefault(id(tensor), len(numbers))
    shapes = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in model.inputs]
    return shapes, calls, [numbers[id(tensor)] for tensor in model.outputs]


def _numbers(module: types.ModuleType) -> dict[str, Any]:
    """Return the numbers and texts that a module of the user's holds; of a library's, nothing."""
    if not is_own_module(module):
        return {}
    plain = (bool, int, float, complex, str, np.ndarray, types.ModuleType)
    return {key: value for key, value in vars(module).items() if not key.startswith("__") and isinstance(value, plain)}


def _digest_program(saved_model: str) -> str | None:
    return digest_file(saved_model) if os.path.exists(saved_model) else None
