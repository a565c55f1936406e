"""The objects that the Python code of a model or function can read while it is traced, except values of variables.

``places`` returns where an object keeps what its code reads: attributes, elements, closures and globals. The search
goes through the user's functions and classes and stops at code of TensorFlow, Keras, NumPy and the standard library.
"""

import argparse
import array
import collections
import functools
import inspect
import operator
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from kerasal.hooks.user_code import (
    cell_contents,
    global_names,
    is_constant,
    is_library,
    is_user_module,
    names_in_call,
    package,
)

import keras
import tensorflow as tf

_READ_INSTANCES = (
    *(keras.Operation, types.SimpleNamespace, argparse.Namespace),
    *(collections.UserDict, collections.UserList, collections.ChainMap),
)
_OPAQUE = (
    *(tf.Tensor, tf.Variable, tf.DType, tf.TensorShape, tf.TypeSpec, tf.Graph, tf.data.Dataset, keras.KerasTensor),
    *(keras.DTypePolicy, keras.InputSpec, keras.Metric, keras.optimizers.Optimizer, np.generic, np.ufunc, np.dtype),
    *(types.BuiltinFunctionType, types.CodeType, tf.types.experimental.ConcreteFunction),
    *(bool, int, float, complex, str, bytes),
)
# What Keras and TensorFlow record in a layer for training, saving, naming and tracking. No ``call`` reads it.
# fmt: off
_BOOKKEEPING = frozenset((
    "_allow_non_tensor_positional_args", "_auto_config", "_build_shapes_dict", "_call_context_args",
    "_call_has_context_arg", "_call_has_mask_arg", "_call_has_training_arg", "_call_signature", "_called",
    "_compile_config", "_compile_loss", "_compile_metrics", "_compiled_trainable_state",
    "_distribute_reduction_method", "_distribute_strategy", "_distributed_dataset", "_eval_epoch_iterator",
    "_inbound_nodes", "_initial_epoch", "_jit_compile", "_lock", "_loss_ids", "_loss_tracker", "_losses",
    "_losses_override", "_metrics", "_nodes", "_nodes_by_depth", "_non_trainable_variables", "_operations_by_depth",
    "_outbound_nodes", "_parent_path", "_path", "_run_eagerly", "_saved_model_arg_spec", "_saved_model_inputs_spec",
    "_seed_generators", "_tracked", "_tracker", "_trainable_variables", "auto_scale_loss", "build",
    "call_signature_parameters", "compiled", "history", "is_awq_calibrated", "is_gptq_calibrated", "loss",
    "optimizer", "predict_function", "quantize", "steps_per_execution", "stop_evaluating", "stop_predicting",
    "stop_training", "supports_jit", "test_function", "train_function", "unrolled_steps_per_execution",
))
# fmt: on
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
# Attributes that every class has and that are not its code; methods such as __call__ and __getattr__ are code.
_CLASS_BOOKKEEPING = frozenset((
    "__abstractmethods__", "__annotate__", "__annotations__", "__dataclass_fields__", "__dataclass_params__",
    "__dict__", "__doc__", "__firstlineno__", "__init__", "__match_args__", "__module__", "__orig_bases__",
    "__parameters__", "__qualname__", "__slots__", "__static_attributes__", "__weakref__", "_abc_impl",
))  # fmt: skip
EMPTY = object()


class Place(NamedTuple):
    """A place where an object keeps other objects.

    It is a namespace ``holder`` with the relevant ``names`` in it, or the result of ``read(holder)``. ``owner`` is the
    object whose attributes the namespace holds, or None if further names in it are never read.
    """

    holder: Any
    names: tuple | None = None
    read: Callable[[Any], tuple] | None = None
    owner: Any = None


def is_relevant(owner: Any, name: Any) -> bool:
    """Return whether code that uses ``owner`` may read its attribute ``name``."""
    if not isinstance(name, str):
        return True
    if isinstance(owner, type):
        return name not in _CLASS_BOOKKEEPING
    if isinstance(owner, types.ModuleType):
        return not (name.startswith("__") and name.endswith("__"))
    if isinstance(owner, keras.Operation):
        if name == "_layers":  # the same layers are in other attributes, which are read
            return isinstance(owner, keras.Model)
        if name in _BOOKKEEPING or name.startswith("_self_") or name.endswith(_TRAINING_ONLY):
            return not is_constant(type(owner)) and name in names_in_call(type(owner))
    return True


def places(thing: Any) -> Iterator[Place]:
    """Yield the places where ``thing`` keeps objects that code can read; none for constants and variables."""
    if thing is None or isinstance(thing, (*_OPAQUE, keras.Variable)):
        return
    if isinstance(thing, (np.ndarray, dict, list, tuple, set, frozenset, collections.deque)):
        yield from _container_places(thing)
    elif isinstance(thing, types.ModuleType):
        if is_user_module(thing):
            yield from _attribute_places(thing)
    elif isinstance(thing, types.FunctionType):
        yield from _function_places(thing)
    elif isinstance(thing, type):
        if issubclass(thing, keras.Operation):
            yield Place(thing, read=lambda kind: (inspect.getattr_static(kind, "call", None),))
        if not is_constant(thing):
            yield from _attribute_places(thing)
            yield Place(thing, read=operator.attrgetter("__bases__"))
    elif isinstance(thing, keras.Operation):
        yield from _operation_places(thing)
    elif (read := next((read for kind, read in _WRAPPERS.items() if isinstance(thing, kind)), None)) is not None:
        yield Place(thing, read=read)
        if space := getattr(thing, "__dict__", None):  # attributes of a partial or a method
            yield Place(space, names=tuple(space), owner=thing)
    elif package(type(thing)) == "pandas" and hasattr(thing, "to_numpy"):
        yield Place(thing, read=_read_table)
    elif callable(thing) and is_constant(type(thing)) and _inner_functions(thing):
        yield Place(thing, read=_inner_functions)
    elif (
        isinstance(thing, _READ_INSTANCES)
        or not is_constant(type(thing))
        or package(type(thing)) in ("keras", "kerasal")  # such as a loss or transform, which has settings
    ):
        yield from _attribute_places(thing)


def _attribute_places(thing: Any) -> Iterator[Place]:
    space = getattr(thing, "__dict__", None)
    if space is not None:
        yield Place(space, names=tuple(name for name in space if is_relevant(thing, name)), owner=thing)
    if not isinstance(thing, type):
        slots = tuple(name for kind in type(thing).__mro__ if not is_constant(kind) for name in _slots(kind))
        if slots:
            yield Place(thing, read=lambda holder: tuple(getattr(holder, name, EMPTY) for name in slots))


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [name for name in ([slots] if isinstance(slots, str) else slots) if name not in ("__dict__", "__weakref__")]
    private = f"_{kind.__name__.lstrip('_')}"
    return [private + name if name.startswith("__") and not name.endswith("__") else name for name in names]


def _container_places(thing: Any) -> Iterator[Place]:
    if isinstance(thing, np.ndarray):
        yield Place(thing, read=_read_elements if thing.dtype.hasobject else _read_array)
    elif isinstance(thing, dict):
        yield Place(thing, names=tuple(thing), owner=thing)
    else:
        yield Place(thing, read=tuple)
    if not is_constant(type(thing)):
        yield from _attribute_places(thing)


def _operation_places(operation: keras.Operation) -> Iterator[Place]:
    yield from _attribute_places(operation)
    for nodes in (vars(operation).get("_nodes_by_depth") or {}).values():
        for node in nodes:
            if _argument_arrays(node.arguments):
                yield Place(node.arguments, read=_argument_arrays)


def _function_places(function: types.FunctionType) -> Iterator[Place]:
    if function.__closure__:
        yield Place(function.__closure__, read=tuple)
    if is_constant(function):
        return
    yield Place(function, read=operator.attrgetter("__code__", "__defaults__", "__kwdefaults__"))
    yield Place(vars(function), names=tuple(vars(function)), owner=function)
    used, space = global_names(function.__code__), function.__globals__
    names = tuple(name for name in used if name in space)
    if names:
        yield Place(space, names=names)
    for module in (space[name] for name in names if isinstance(space[name], types.ModuleType)):
        read = tuple(name for name in used if name in vars(module))
        if read and not is_library(module) and not is_user_module(module):
            yield Place(vars(module), names=read)


def _inner_functions(thing: Any) -> tuple:
    """Return the functions inside a library's callable: a cached, vectorized or custom-gradient function."""
    names = ("__wrapped__", "_decorated_target", "pyfunc", "_d", "_f", "f")
    values = [getattr(thing, name, None) for name in names]
    return tuple(value for value in values if isinstance(value, (types.FunctionType, types.MethodType)))


def _argument_arrays(arguments: Any) -> tuple:
    """Return the arrays, as opposed to tensors, among the arguments of a functional model's node."""
    values = keras.tree.flatten((arguments.args, arguments.kwargs))
    return tuple(value for value in values if isinstance(value, np.ndarray))


def _read_array(array: np.ndarray) -> tuple:
    return array.shape, array.dtype.str, array.tobytes()


def _read_table(table: Any) -> tuple:
    """Return the content of a pandas object, whose attributes are in compiled classes."""
    values, names = table.to_numpy(), [getattr(table, name, ()) for name in ("index", "columns")]
    return (*map(tuple, names), *(_read_elements(values) if values.dtype.hasobject else _read_array(values)))


def _read_elements(array: np.ndarray) -> tuple:
    return array.shape, *array.ravel().tolist()


_WRAPPERS = {
    types.CellType: lambda cell: (cell_contents(cell, EMPTY),),
    types.MethodType: lambda method: (method.__func__, method.__self__),
    functools.partial: lambda partial: (partial.func, partial.args, partial.keywords),
    staticmethod: lambda method: (method.__func__,),
    classmethod: lambda method: (method.__func__,),
    property: lambda accessor: (accessor.fget, accessor.fset),
    functools.cached_property: lambda accessor: (accessor.func,),
    weakref.ref: lambda reference: (reference(),),
    types.MappingProxyType: lambda view: (*view.keys(), *view.values()),
    (bytearray, array.array): lambda values: (bytes(values),),
    tf.types.experimental.PolymorphicFunction: lambda function: (function.python_function,),
}
