"""From a traced signature to an ONNX graph, and whether that says the same."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasal.serving.endpoints import Endpoint

import tensorflow as tf

OPSET = 18
_TOLERANCE = 1e-3  # of the largest value: other kernels add in another order
# They pass on what they get; a forward pass has them too, such as the moments of a LayerNormalization.
_FORWARD = {"DebugGradientIdentity", "PreventGradient", "StopGradient"}
_GRADIENTS = {kind for kind in dir(tf.raw_ops) if "Grad" in kind} - _FORWARD


def refuse_gradients(endpoint: Endpoint) -> None:
    """Refuse a signature whose graph holds gradients, before the converter spends minutes on it."""
    gradients = sorted(_operations(endpoint.function) & _GRADIENTS)
    if gradients:
        raise ValueError(
            f"The signature {endpoint.signature.name!r} takes gradients ({', '.join(gradients)}), which is not "
            "possible in ONNX. Possible are the scores, occlusion and scorecam; or export a SavedModel."
        )


def _operations(function) -> set[str]:
    """Return the kinds of operations that the outputs need, also in functions; traces hold others, which go unused."""
    needed, pending = {}, [one.op for one in function.outputs]
    while pending:
        op = pending.pop()
        if op.name not in needed:
            needed[op.name] = op.node_def
            pending += [one.op for one in op.inputs]
    library = function.graph.as_graph_def().library.function
    functions = {one.signature.name: one.node_def for one in library}
    kinds, pending = set(), [needed.values()]
    while pending:
        for node in pending.pop():
            called = {node.op, *(value.func.name for value in node.attr.values())}
            called |= {one.name for value in node.attr.values() for one in value.list.func}
            pending += [functions.pop(name) for name in called & functions.keys()]
            kinds.add(node.op)
    return kinds


def convert(endpoint: Endpoint) -> Any:
    """Return the ``onnx.ModelProto`` of a signature.

    Raises:
        ValueError: the converter fails, or leaves operations that ONNX has not.
    """
    import onnx
    import tf2onnx

    specs = list(endpoint.function.structured_input_signature[0])
    function = tf.function(lambda *tensors: endpoint.function(*tensors), input_signature=specs, autograph=False)
    try:
        with quiet():
            model, _ = tf2onnx.convert.from_function(
                function, input_signature=specs, opset=OPSET, custom_op_handlers={"Erfc": (_one_minus_erf, [])}
            )
    except Exception as error:  # the converter raises whatever its handlers of operations do
        raise ValueError(f"The signature {endpoint.signature.name!r} cannot be converted: {error}") from error
    known = {one.name for one in onnx.defs.get_all_schemas()}
    missing = sorted({node.op_type for node in _nodes(model.graph) if node.op_type not in known})
    if missing:
        raise ValueError(
            f"The signature {endpoint.signature.name!r} holds operations that ONNX has not: {', '.join(missing)}. "
            "Export a SavedModel."
        )
    return model


def _one_minus_erf(context, node, name, args) -> None:
    """Write TensorFlow's Erfc, in every GELU, as 1 - Erf: the converter does not know it."""
    kind, shape = context.get_dtype(node.output[0]), context.get_shape(node.output[0])
    erf = context.make_node("Erf", node.input, dtypes=[kind], shapes=[shape])
    one = context.make_const(f"{name}/one", np.ones((), np.float32))
    cast = context.make_node("Cast", one.output, attr={"to": kind})
    context.remove_node(name)
    minus = [cast.output[0], erf.output[0]]
    context.make_node("Sub", minus, name=name, outputs=node.output, dtypes=[kind], shapes=[shape])


def _nodes(graph) -> Iterator:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g) if attribute.HasField("g") else ()


def compare(endpoint: Endpoint, file: pathlib.Path) -> None:
    """Run the file and the signature on the same two random inputs.

    Raises:
        ValueError: they do not say the same.
    """
    import onnxruntime

    random = np.random.default_rng(0)
    feeds = {}
    for key, one in (endpoint.example or {}).items():
        shape = (2, *one.shape[1:])
        values = random.normal(size=shape) if one.dtype.kind == "f" else np.zeros(shape)
        feeds[key] = values.astype(one.dtype)
    expected = endpoint.function(*map(tf.constant, feeds.values()))
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what it says is in the error
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_outputs()]
        found: dict[str, Any] = dict(zip(names, session.run(names, feeds), strict=True))
    except Exception as error:  # onnxruntime has its own classes of errors, all of Exception
        raise ValueError(f"onnxruntime cannot run the signature {endpoint.signature.name!r}: {error}") from error
    for key, tensor in expected.items():
        difference = _difference(found[key], tensor.numpy())
        if difference:
            raise ValueError(
                f"ONNX gives another {key} for the signature {endpoint.signature.name!r}: {difference}. Nothing was "
                "written; export a SavedModel."
            )


def _difference(found: np.ndarray, wanted: np.ndarray) -> str:
    """Say how two results differ, or nothing where they are the same up to rounding."""
    if found.shape != wanted.shape:
        return f"shape {found.shape} where TensorFlow gives {wanted.shape}"
    if wanted.dtype.kind == "O":  # texts: bytes in TensorFlow
        same = all(one.decode() == other for one, other in zip(wanted.flat, found.flat, strict=True))
        return "" if same else f"{found.flat[0]!r} where TensorFlow gives {wanted.flat[0].decode()!r}"
    far, largest = np.abs(found.astype(np.float64) - wanted).max(), np.abs(wanted).max()
    return "" if far <= _TOLERANCE * max(largest, 1e-6) else f"off by {far:.3g}, where values go up to {largest:.3g}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the converter from writing to the terminal: what matters is raised."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
