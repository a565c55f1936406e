"""The functions that operations of a graph call: those of a tf.function, a loop, a branch or a SavedModel."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from kerasal.hooks.operations import is_opaque

import tensorflow as tf


def first_call(operations: Sequence[tf.Operation], holds: Callable[[Any], bool]) -> tf.Operation | None:
    """Return the first operation that calls, at any depth, a function for which ``holds(function)``, or None."""
    calls = [op for op in operations if is_opaque(op)]
    library = function_library(calls[0]) if calls else {}
    return next((op for op in calls if any(map(holds, called_functions(op, library)))), None)


def has_types(types: Collection[str]) -> Callable[[Any], bool]:
    """Return a function that tells whether a function runs an operation of the given types."""
    return lambda function: any(node.op in types for node in function.node_def)


def function_library(op: tf.Operation) -> dict[str, Any]:
    """Return the functions of an operation's graph by name."""
    return {function.signature.name: function for function in op.graph.as_graph_def().library.function}


def called_functions(op: tf.Operation, library: dict[str, Any]) -> Iterator[Any]:
    """Yield the functions of a library that an operation calls, at any depth, each once."""
    pending, done = [op.node_def], set()
    while pending:
        for value in pending.pop().attr.values():
            for function in [value.func, *value.list.func]:
                if function.name in library and function.name not in done:
                    done.add(function.name)
                    yield library[function.name]
                    pending += library[function.name].node_def
