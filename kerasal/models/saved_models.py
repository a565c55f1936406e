"""Safety checks of a SavedModel before it is loaded, because its graph is a program.

TensorFlow runs any operation in a graph, including those that write files or call Python, some of them while the model
is being loaded. So every operation of the graph and of its functions must be on a list of operations that only compute
(``assets/saved_model_operations.txt``). Operations of the saver (``SaveV2``, ``RestoreV2``) are allowed if only the
saver can reach them; a signature, an initializer or a function that can reach them is refused. A function with the name
of an operation is refused too, because TensorFlow would call it instead of the operation. The checks limit what a model
can do, not its cost: a graph of allowed operations may still run forever or fill the memory.
"""

import collections
import functools
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from kerasal.archive_check import check_expansion

_OPERATIONS_FILE = pathlib.Path(__file__).parent.parent / "assets" / "saved_model_operations.txt"
_SAVING = frozenset({"SaveV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"})
_RESTORING = frozenset({"RestoreV2"})
_GRAPH = "the main graph"
_SAME_NAME = "a function of the same name"
_API_IMPLEMENTS = "api_implements"
"""Functions with this attribute may be swapped for each other when a graph is optimized."""

Place = tuple[str, str]
"""A node of the main graph, ``("node", name)``, or a function, ``("function", name)``."""


class UntrustedCode(ValueError):
    """The model file contains code, which is run only with ``unsafe=True``."""


def check_saved_model(path: pathlib.Path, *, unsafe: bool = False) -> None:
    """Raise an error if a SavedModel declares far more data than it stores, or can do more than compute.

    Nothing in the SavedModel is run. A damaged file raises the errors of protobuf and TensorFlow.

    Args:
        path: the folder of the SavedModel.
        unsafe: accept any operation.

    Raises:
        ImplausibleFile: the declared size of constants or variables is implausible for the size of the files.
        UntrustedCode: an operation can do more than compute; the message names it and its function.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    _check_claims(path, model)
    if unsafe:
        return
    refused = [pair for meta_graph in model.meta_graphs for pair in list_refused_operations(meta_graph)]
    if refused:
        listed = ", ".join(f"{op} in {place}" for op, place in refused[:3]) + (", …" if len(refused) > 3 else "")
        raise UntrustedCode(
            f"{path} contains operations that can do more than compute, such as reading or writing files: {listed}. If "
            "you trust the author, load the SavedModel with unsafe=True."
        )


def list_refused_operations(meta_graph: Any) -> list[tuple[str, str]]:
    """Return the operations of a ``MetaGraphDef`` that can do more than compute, and where each occurs first."""
    graph = _Graph(meta_graph)
    saving, restoring = graph.reach(graph.saver("save")), graph.reach(graph.saver("restore"))
    others = (place for place in graph.operations if place not in saving and place not in restoring)
    strict = graph.reach([*graph.entries(), *others])
    refused = {name: _SAME_NAME for name in graph.functions if _is_operation(name)}
    for place, operations in graph.operations.items():
        allowed = computing_operations()
        if place not in strict and (place in saving) != (place in restoring):
            allowed = allowed | (_SAVING if place in saving else _RESTORING)
        for operation in operations:
            if operation not in allowed:
                refused.setdefault(operation, _GRAPH if place[0] == "node" else f"the function {place[1]}")
    return list(refused.items())


@functools.cache
def computing_operations() -> frozenset[str]:
    """Return the names of the TensorFlow operations that only compute: they reach no files, devices or Python."""
    lines = _OPERATIONS_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def _is_operation(name: str) -> bool:
    """Return whether a name is that of an operation of TensorFlow or of a registered custom operation."""
    from tensorflow.python.framework import op_def_registry

    return name in computing_operations() or op_def_registry.get(name) is not None


class _Graph:
    """The call graph of a ``MetaGraphDef``: the operations of each place, and the places that it can reach."""

    def __init__(self, meta_graph):
        self.meta_graph = meta_graph
        self.functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}
        self.operations: dict[Place, set[str]] = collections.defaultdict(set)
        self.edges: dict[Place, set[Place]] = collections.defaultdict(set)
        for node in meta_graph.graph_def.node:
            self._add(("node", node.name), node)
            self.edges["node", node.name] |= {("node", _node_name(tensor)) for tensor in node.input}
        for name, function in self.functions.items():
            place = ("function", name)
            self.operations[place]  # adds functions without nodes too
            self._add_edges(place, function.attr.values())
            for node in function.node_def:
                self._add(place, node)

    def _add(self, place: Place, node) -> None:
        self.operations[place].add(node.op)
        if node.op in self.functions:  # a function called as if it were an operation
            self.edges[place].add(("function", node.op))
        self._add_edges(place, node.attr.values())

    def _add_edges(self, place: Place, values: Iterable) -> None:
        names = {name for value in values for name in _names(value)}
        self.edges[place] |= {("function", name) for name in names if name in self.functions}

    def reach(self, roots: Iterable[Place]) -> set[Place]:
        """Return all places that can be reached from the ``roots``, including the roots."""
        reached, waiting = set(), list(roots)
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                waiting += self.edges.get(place, ())
        return reached

    def saver(self, part: str) -> list[Place]:
        """Return the node of the saver that saves (``part="save"``) or restores, or an empty list."""
        saver = self.meta_graph.saver_def
        name = saver.save_tensor_name if part == "save" else saver.restore_op_name
        return [("node", _node_name(name))] if name else []

    def entries(self) -> Iterator[Place]:
        """Yield the places that a caller or the loader may run: signatures, collections, functions of the objects."""
        for signature in self.meta_graph.signature_def.values():
            for tensor in [*signature.inputs.values(), *signature.outputs.values()]:
                yield from (("node", _node_name(name)) for name in _tensor_names(tensor))
        for collection in self.meta_graph.collection_def.values():
            yield from (("node", _node_name(name)) for name in collection.node_list.value)
        objects = self.meta_graph.object_graph_def
        names = set(objects.concrete_functions)
        for node in objects.nodes:
            names |= {*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name}
        library = self.meta_graph.graph_def.library
        names |= {gradient.gradient_func for gradient in [*library.gradient, *library.registered_gradients]}
        names |= {name for name, function in self.functions.items() if _API_IMPLEMENTS in function.attr}
        yield from (("function", name) for name in names)


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _names(value) -> Iterator[str]:
    """Yield all names in an attribute that may be those of functions: function references and strings."""
    for function in [value.func, *value.list.func]:
        yield function.name
        for inner in function.attr.values():
            yield from _names(inner)
    yield from (text.decode("utf-8", "replace") for text in [value.s, *value.list.s] if text)


def _tensor_names(tensor) -> list[str]:
    sparse = tensor.coo_sparse
    parts = [name for part in tensor.composite_tensor.components for name in _tensor_names(part)]
    names = [tensor.name, sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    return [name for name in names if name] + parts


def _check_claims(path: pathlib.Path, model) -> None:
    """Raise an error if constants and checkpoint variables together are implausibly large for the size of the files."""
    import tensorflow as tf

    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    claimed = 0
    for meta_graph in model.meta_graphs:
        library = meta_graph.graph_def.library.function
        for node in [*meta_graph.graph_def.node, *(node for function in library for node in function.node_def)]:
            tensor = node.attr["value"].tensor if node.op == "Const" else None
            if tensor is not None and tensor.dtype:
                size = getattr(tf.dtypes.as_dtype(tensor.dtype), "size", 1) or 1
                claimed += size * math.prod(max(0, axis.size) for axis in tensor.tensor_shape.dim)
                check_expansion(path, claimed, stored, f", as the constant {node.name}")
    if (path / "variables" / "variables.index").is_file():
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        types = reader.get_variable_to_dtype_map()
        for name, shape in reader.get_variable_to_shape_map().items():
            claimed += math.prod(shape) * (types[name].size or 1)
            check_expansion(path, claimed, stored, f", as the variable {name} of shape {tuple(shape)}")
