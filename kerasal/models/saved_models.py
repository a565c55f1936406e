"""What a SavedModel would run and hold, read before it is loaded: its graph is a program.

TensorFlow runs whatever operation a graph names, also those that write files or call Python, some of them while the
model is being loaded. So every operation of the graph and of its functions must be on a list of those that compute
(``assets/saved_model_operations.txt``). What a saver needs (``SaveV2``, ``RestoreV2``) is let through where nothing but
the saver leads: a signature, an initializer or a function that also leads there is refused, and so is a function that
bears the name of an operation, in whose place TensorFlow would call it. This says what a model can reach, not what it
costs: a graph of such operations may still run for ever or fill the memory.
"""

import collections
import functools
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from kerasal.archive_check import check_expansion

_COMPUTING = pathlib.Path(__file__).parent.parent / "assets" / "saved_model_operations.txt"
_SAVING = frozenset({"SaveV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"})
_RESTORING = frozenset({"RestoreV2"})
_GRAPH = "the main graph"
_DISGUISED = "a function that takes its name"
_SWAPPED = "api_implements"
"""Functions with this attribute are exchanged for one another when a graph is optimized."""

Place = tuple[str, str]
"""A node of the main graph, ``("node", name)``, or a function, ``("function", name)``."""


class UntrustedCode(ValueError):
    """A model file would run code of its own, which happens only with ``unsafe=True``."""


def check_saved_model(path: pathlib.Path, *, unsafe: bool = False) -> None:
    """Refuse a SavedModel that claims more than it stores, or, unless ``unsafe``, one that does more than compute.

    The latter is ``UntrustedCode``, which names the operation and its function. A damaged one raises what protobuf and
    TensorFlow do. Nothing of it runs here.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    _check_claims(path, model)
    if unsafe:
        return
    refused = [found for meta_graph in model.meta_graphs for found in find_refused(meta_graph)]
    if refused:
        listed = ", ".join(f"{op} in {place}" for op, place in refused[:3]) + (", …" if len(refused) > 3 else "")
        raise UntrustedCode(
            f"{path} contains operations that can do more than compute, such as reading or writing files: {listed}. A "
            "SavedModel is a program: load it with unsafe=True only if you trust whoever made it."
        )


def find_refused(meta_graph: Any) -> list[tuple[str, str]]:
    """Return the operations of a ``MetaGraphDef`` that may do more than compute, each once, with where it was found."""
    graph = _Graph(meta_graph)
    saving, restoring = graph.reach(graph.saver("save")), graph.reach(graph.saver("restore"))
    others = (place for place in graph.operations if place not in saving and place not in restoring)
    strict = graph.reach([*graph.entries(), *others])
    found = {name: _DISGUISED for name in graph.functions if _is_operation(name)}
    for place, operations in graph.operations.items():
        allowed = computing_operations()
        if place not in strict and (place in saving) != (place in restoring):
            allowed = allowed | (_SAVING if place in saving else _RESTORING)
        for operation in operations:
            if operation not in allowed:
                found.setdefault(operation, _GRAPH if place[0] == "node" else f"the function {place[1]}")
    return list(found.items())


@functools.cache
def computing_operations() -> frozenset[str]:
    """Return the names of the operations that only compute."""
    lines = _COMPUTING.read_text(encoding="utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def _is_operation(name: str) -> bool:
    """Tell a name by which a graph also calls one of TensorFlow's operations, or one that somebody has registered."""
    from tensorflow.python.framework import op_def_registry

    return name in computing_operations() or op_def_registry.get(name) is not None


class _Graph:
    """The main graph and the functions of a ``MetaGraphDef``: the operations of each place, and where it leads."""

    def __init__(self, meta_graph):
        self.meta_graph = meta_graph
        self.functions = {one.signature.name: one for one in meta_graph.graph_def.library.function}
        self.operations: dict[Place, set[str]] = collections.defaultdict(set)
        self.leads: dict[Place, set[Place]] = collections.defaultdict(set)
        for node in meta_graph.graph_def.node:
            self._add(("node", node.name), node)
            self.leads["node", node.name] |= {("node", _node_name(tensor)) for tensor in node.input}
        for name, function in self.functions.items():
            place = ("function", name)
            self.operations[place]  # also one without nodes
            self._mention(place, function.attr.values())
            for node in function.node_def:
                self._add(place, node)

    def _add(self, place: Place, node) -> None:
        self.operations[place].add(node.op)
        if node.op in self.functions:  # called like an operation
            self.leads[place].add(("function", node.op))
        self._mention(place, node.attr.values())

    def _mention(self, place: Place, values: Iterable) -> None:
        named = {name for value in values for name in _names(value)}
        self.leads[place] |= {("function", name) for name in named if name in self.functions}

    def reach(self, roots: Iterable[Place]) -> set[Place]:
        """Return every place to which the ``roots`` lead, and these."""
        reached, waiting = set(), list(roots)
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                waiting += self.leads.get(place, ())
        return reached

    def saver(self, part: str) -> list[Place]:
        """Return the node with which the saver saves (``"save"``) or restores."""
        saver = self.meta_graph.saver_def
        name = saver.save_tensor_name if part == "save" else saver.restore_op_name
        return [("node", _node_name(name))] if name else []

    def entries(self) -> Iterator[Place]:
        """Yield where a caller or the loader enters: signatures, collections, functions that the objects have."""
        for signature in self.meta_graph.signature_def.values():
            for tensor in [*signature.inputs.values(), *signature.outputs.values()]:
                yield from (("node", _node_name(name)) for name in _tensor_names(tensor))
        for collection in self.meta_graph.collection_def.values():
            yield from (("node", _node_name(name)) for name in collection.node_list.value)
        objects = self.meta_graph.object_graph_def
        names = set(objects.concrete_functions)
        for one in objects.nodes:
            names |= {*one.function.concrete_functions, one.bare_concrete_function.concrete_function_name}
        library = self.meta_graph.graph_def.library
        names |= {one.gradient_func for one in [*library.gradient, *library.registered_gradients]}
        names |= {name for name, function in self.functions.items() if _SWAPPED in function.attr}
        yield from (("function", name) for name in names)


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _names(value) -> Iterator[str]:
    """Yield whatever an attribute may call a function by: its functions, and its texts."""
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
    """Add up the constants of the graph and the variables of its checkpoint, and compare them with all bytes."""
    import tensorflow as tf

    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    claimed = 0
    for meta_graph in model.meta_graphs:
        library = meta_graph.graph_def.library.function
        for node in [*meta_graph.graph_def.node, *(node for one in library for node in one.node_def)]:
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
