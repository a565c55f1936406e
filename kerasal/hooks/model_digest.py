"""Digests of models, which identify the model of a stored result, also in another process.

A digest covers everything that decides a model's output: classes, settings and connections of its layers, code of the
user's functions and classes, plain attributes, and values of variables and other tensors. Layer names, which Keras
numbers, and attributes for training are not part of it.
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
    is_user_class,
    is_user_module,
    names_in_call,
    object_parts,
    without_layers,
)

import keras
import tensorflow as tf

_UNUSED = ("_initializer", "_regularizer", "_constraint")
_UNUSED_NAMES = {"name", "trainable", "initializer", "regularizer", "constraint", "filepath", "seed"}
_FOR_TRAINING = {"optimizer", "history", "stop_training", "_compile_config", "_compiled_trainable_state"}
_FOR_TRAINING |= {"_eval_epoch_iterator", "_functional", "output_names", "stop_predicting", "stop_evaluating"}


def digest_model(model: keras.Model, *, weights: bool = True) -> str:
    """Return 32 hexadecimal digits that identify what ``model`` computes; they are the same in every process.

    Args:
        model: any built model.
        weights: whether the values of variables count. Their shapes always do.

    Objects of other libraries or of compiled code count by their class alone, since their content is not visible.
    """
    return _Encoder(weights).add(model).digest


class _Encoder(Encoder):
    """An encoder for layers, functions, classes and plain objects, which caches the digest of each object."""

    def __init__(self, weights: bool, known: dict[int, tuple[Any, str]] | None = None):
        super().__init__()
        self._weights, self._known = weights, {} if known is None else known

    def fresh(self) -> "_Encoder":
        """Return an empty encoder that shares the cache."""
        return _Encoder(self._weights, self._known)

    def add_other(self, value: Any) -> None:
        """Add an object by the digest of its parts; a reference back to the object, as in a cycle, is a fixed text."""
        key = id(value)
        if key not in self._known:
            self._known[key] = value, "cycle"  # keeps the value alive, since its id is the key
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
        is_user = is_user_class(type(operation))
        layer, model = isinstance(operation, keras.Layer), isinstance(operation, keras.Model)
        graph = hasattr(operation, "_nodes_by_depth")
        return (
            class_parts(type(operation)),
            None if model or not layer else _settings(operation),
            _attributes(operation) if is_user or not layer else _values(operation),
            list(operation.weights) if layer else [],
            keras.tree.flatten(operation.states) if getattr(operation, "stateful", False) is True else [],
            [] if not layer or graph else operation._flatten_layers(include_self=False, recursive=False),
            _graph(operation) if graph else None,
            _digest_saved_model(operation.filepath) if isinstance(operation, keras.layers.TFSMLayer) else None,
        )

    _kinds: tuple[tuple[Any, Callable], ...] = (
        ((keras.Variable, tf.Variable), _variable),
        (keras.Operation, _operation),
        (keras.KerasTensor, lambda _, tensor: ("tensor", tuple(tensor.shape), str(tensor.dtype))),
        (tf.Tensor, lambda _, tensor: np.asarray(tensor) if hasattr(tensor, "numpy") else str(tensor.shape)),
        ((tf.DType, tf.TensorShape), lambda _, value: str(value)),
        (enum.Enum, lambda _, value: (full_name(type(value)), value.name)),
        (type, lambda _, value: class_parts(value)),
        (types.ModuleType, lambda _, module: ("module", module.__name__, _module_values(module))),
        (types.FunctionType, lambda _, function: function_parts(function)),
        (types.MethodType, lambda _, method: ("method", method.__func__, method.__self__)),
        (types.CodeType, lambda _, code: code_parts(code)),
        ((staticmethod, classmethod), lambda _, value: (type(value).__name__, value.__func__)),
        (property, lambda _, value: ("property", value.fget)),
        (functools.partial, lambda _, value: ("partial", value.func, value.args, value.keywords)),
    )


def _settings(layer: keras.Layer) -> Any:
    """Return the current settings of a layer, with functions instead of their names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = layer.get_config()
    except Exception:  # a user's class may raise any exception, and then counts by its attributes
        return None
    settings = {}
    for key, value in config.items():
        if key in _UNUSED_NAMES or key.endswith(_UNUSED):
            continue
        current = getattr(layer, key, None)
        settings[key] = (
            current if isinstance(current, (types.FunctionType, types.MethodType, functools.partial)) else value
        )
    return without_layers(settings)


def _attributes(operation: keras.Operation) -> dict[str, Any]:
    """Return the attributes of an operation or user-defined layer, except those that every layer has.

    An attribute that every layer has counts if the code of a user-defined class reads it. Collections of ids of layers
    do not count, because ids differ between processes.
    """
    read = names_in_call(type(operation)) if is_user_class(type(operation)) else ()
    layers = paths.layers(operation) if isinstance(operation, keras.Model) else []
    ids = {id(layer) for _, layer in layers}
    return {
        key: value
        for key, value in vars(operation).items()
        if (key not in _keras_attributes() or key in read) and not _are_ids(value, ids)
    }


def _are_ids(value: Any, ids: set[int]) -> bool:
    are_numbers = isinstance(value, (set, list, tuple)) and value and all(type(item) is int for item in value)
    return bool(are_numbers) and ids.issuperset(value)


def _values(layer: keras.Layer) -> dict[str, Any]:
    """Return the values that decide the output of a Keras layer besides its variables and settings."""
    values = {key: value for key, value in _attributes(layer).items() if _is_state(value) or key == "call"}
    if hasattr(layer, "get_vocabulary"):
        values["vocabulary"] = list(map(str, layer.get_vocabulary()))
    return values


def _is_state(value: Any) -> bool:
    """Return whether a value is a tensor, an array or a list of floats, as ``adapt`` stores them."""
    floats = isinstance(value, list) and bool(value) and all(isinstance(item, (float, np.floating)) for item in value)
    return floats or isinstance(value, (np.ndarray, tf.Tensor))


@functools.cache
def _keras_attributes() -> frozenset[str]:
    """Return the attributes that Keras gives to every layer, model or operation."""
    named: Any = {"name": "any"}  # a name keeps Keras from advancing its counters of names
    inputs = keras.Input((1,), **named)
    kinds = (keras.layers.Layer(**named), keras.Sequential(**named), keras.Model(inputs, inputs, **named))
    return frozenset(_FOR_TRAINING.union(*map(vars, (*kinds, keras.Operation(**named)))))


def _graph(model: keras.Model) -> tuple:
    """Return the calls of a functional model in order, with numbers for tensors, and the numbers of the outputs."""
    numbers = {id(tensor): number for number, tensor in enumerate(model.inputs)}

    def number_tensor(value):
        return ("tensor", numbers[id(value)]) if id(value) in numbers else value

    calls = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                arguments = [node.arguments.args, node.arguments.kwargs]
                calls.append((node.operation, keras.tree.map_structure(number_tensor, arguments), len(node.outputs)))
                for tensor in node.outputs:
                    numbers.setdefault(id(tensor), len(numbers))
    shapes = [(tuple(tensor.shape), str(tensor.dtype)) for tensor in model.inputs]
    return shapes, calls, [numbers[id(tensor)] for tensor in model.outputs]


def _module_values(module: types.ModuleType) -> dict[str, Any]:
    """Return the numbers and strings in a module of the user, and nothing for a library."""
    if not is_user_module(module):
        return {}
    plain = (bool, int, float, complex, str, np.ndarray, types.ModuleType)
    return {key: value for key, value in vars(module).items() if not key.startswith("__") and isinstance(value, plain)}


def _digest_saved_model(saved_model: str) -> str | None:
    return digest_file(saved_model) if os.path.exists(saved_model) else None
