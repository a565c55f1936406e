"""What the Python code of a model or function can read while it is traced, apart from the values of variables.

``places`` names, for one object, where it keeps what its code reads: attributes, elements, closures, globals. It goes
through a user's own functions and classes, and stops at the code of TensorFlow, Keras, NumPy and the standard library.
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
    is_own_module,
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
# What Keras and TensorFlow note about a layer for themselves: training, saving, naming, tracking. No call reads it.
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
# What every class has beside what its code does; a method such as __call__ or __getattr__ is code.
_OF_CLASSES = frozenset((
    "__abstractmethods__", "__annotate__", "__annotations__", "__dataclass_fields__", "__dataclass_params__",
    "__dict__", "__doc__", "__firstlineno__", "__init__", "__match_args__", "__module__", "__orig_bases__",
    "__parameters__", "__qualname__", "__slots__", "__static_attributes__", "__weakref__", "_abc_impl",
))  # fmt: skip
EMPTY = object()


class Place(NamedTuple):
    """Where an object keeps things: a namespace with the relevant ``names`` in it, or what ``read(holder)`` returns.

    ``owner`` is the object whose attributes the namespace holds, or None where further names in it are not read.
    """

    holder: Any
    names: tuple | None = None
    read: Callable[[Any], tuple] | None = None
    owner: Any = None


def is_relevant(owner: Any, name: Any) -> bool:
    """Tell whether code that runs ``owner`` may read its attribute ``name``."""
    if not isinstance(name, str):
        return True
    if isinstance(owner, type):
        return name not in _OF_CLASSES
    if isinstance(owner, types.ModuleType):
        return not (name.startswith("__") and name.endswith("__"))
    if isinstance(owner, keras.Operation):
        if name == "_layers":  # elsewhere the attributes, which are read, hold the same layers
            return isinstance(owner, keras.Model)
        if name in _BOOKKEEPING or name.startswith("_self_") or name.endswith(_TRAINING_ONLY):
            return not is_constant(type(owner)) and name in names_in_call(type(owner))
    return True


def places(thing: Any) -> Iterator[Place]:
    """Yield the places in which ``thing`` keeps what code that uses it can read; none for constants and variables."""
    if thing is None or isinstance(thing, (*_OPAQUE, keras.Variable)):
        return
    if isinstance(thing, (np.ndarray, dict, list, tuple, set, frozenset, collections.deque)):
        yield from _of_container(thing)
    elif isinstance(thing, types.ModuleType):
        if is_own_module(thing):
            yield from _attributes(thing)
    elif isinstance(thing, types.FunctionType):
        yield from _of_function(thing)
    elif isinstance(thing, type):
        if issubclass(thing, keras.Operation):
            yield Place(thing, read=lambda kind: (inspect.getattr_static(kind, "call", None),))
        if not is_constant(thing):
            yield from _attributes(thing)
            yield Place(thing, read=operator.attrgetter("__bases__"))
    elif isinstance(thing, keras.Operation):
        yield from _of_operation(thing)
    elif (read := next((read for kind, read in _WRAPPERS.items() if isinstance(thing, kind)), None)) is not None:
        yield Place(thing, read=read)
        if space := getattr(thing, "__dict__", None):  # of a partial or a method
            yield Place(space, names=tuple(space), owner=thing)
    elif package(type(thing)) == "pandas" and hasattr(thing, "to_numpy"):
        yield Place(thing, read=_table)
    elif callable(thing) and is_constant(type(thing)) and _wrapped(thing):
        yield Place(thing, read=_wrapped)
    elif (
        isinstance(thing, _READ_INSTANCES)
        or not is_constant(type(thing))
        or package(type(thing)) in ("keras", "kerasal")  # carries numbers of its own: a loss, a transform
    ):
        yield from _attributes(thing)


def _attributes(thing: Any) -> Iterator[Place]:
    space = getattr(thing, "__dict__", None)
    if space is not None:
        yield Place(space, names=tuple(name for name in space if is_relevant(thing, name)), owner=thing)
    if not isinstance(thing, type):
        slots = tuple(name for kind in type(thing).__mro__ if not is_constant(kind) for name in _slots(kind))
        if slots:
            yield Place(thing, read=lambda one: tuple(getattr(one, name, EMPTY) for name in slots))


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [name for name in ([slots] if isinstance(slots, str) else slots) if name not in ("__dict__", "__weakref__")]
    private = f"_{kind.__name__.lstrip('_')}"
    return [private + name if name.startswith("__") and not name.endswith("__") else name for name in names]


def _of_container(thing: Any) -> Iterator[Place]:
    if isinstance(thing, np.ndarray):
        yield Place(thing, read=_elements if thing.dtype.hasobject else _content)
    elif isinstance(thing, dict):
        yield Place(thing, names=tuple(thing), owner=thing)
    else:
        yield Place(thing, read=tuple)
    if not is_constant(type(thing)):
        yield from _attributes(thing)


def _of_operation(operation: keras.Operation) -> Iterator[Place]:
    yield from _attributes(operation)
    for nodes in (vars(operation).get("_nodes_by_depth") or {}).values():
        for node in nodes:
            if _arrays(node.arguments):
                yield Place(node.arguments, read=_arrays)


def _of_function(function: types.FunctionType) -> Iterator[Place]:
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
        if read and not is_library(module) and not is_own_module(module):
            yield Place(vars(module), names=read)


def _wrapped(thing: Any) -> tuple:
    """Return the functions within a library's callable object: a cached, vectorized or custom-gradient function."""
    names = ("__wrapped__", "_decorated_target", "pyfunc", "_d", "_f", "f")
    found = [getattr(thing, name, None) for name in names]
    return tuple(one for one in found if isinstance(one, (types.FunctionType, types.MethodType)))


def _arrays(arguments: Any) -> tuple:
    """Return the arrays that a functional model's node was given beside its tensors."""
    return tuple(one for one in keras.tree.flatten((arguments.args, arguments.kwargs)) if isinstance(one, np.ndarray))


def _content(array: np.ndarray) -> tuple:
    return array.shape, array.dtype.str, array.tobytes()


def _table(table: Any) -> tuple:
    """Return what a pandas object holds, which lies in compiled classes."""
    values, names = table.to_numpy(), [getattr(table, name, ()) for name in ("index", "columns")]
    return (*map(tuple, names), *(_elements(values) if values.dtype.hasobject else _content(values)))


def _elements(array: np.ndarray) -> tuple:
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
