"""Conversion of a traced signature to an ONNX graph, and its verification in onnxruntime."""

import contextlib
import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.serving.endpoints import Endpoint

import tensorflow as tf

OPSET = 18
_TOLERANCE = 1e-3  # relative to the largest value: the kernels of onnxruntime sum in a different order
# These are identities in a forward pass, for example in the moments of a LayerNormalization.
_FORWARD = {"DebugGradientIdentity", "PreventGradient", "StopGradient"}
_GRADIENTS = {kind for kind in dir(tf.raw_ops) if "Grad" in kind} - _FORWARD


def refuse_gradients(endpoint: Endpoint) -> None:
    """Raise a ``ValueError`` if the graph of a signature has gradients, before the converter spends minutes on it."""
    gradients = sorted(_list_operations(endpoint.function) & _GRADIENTS)
    if gradients:
        raise ValueError(
            f"An ONNX signature must not use gradients, but {endpoint.signature.name!r} does ({', '.join(gradients)}). "
            "Use the scores, occlusion, ablation, hsic or scorecam, or export a SavedModel."
        )


def _list_operations(function) -> set[str]:
    """Return the types of the operations that the outputs depend on, those in called functions included."""
    needed, pending = {}, [tensor.op for tensor in function.outputs]
    while pending:
        op = pending.pop()
        if op.name not in needed:
            needed[op.name] = op.node_def
            pending += [tensor.op for tensor in op.inputs]
    library = function.graph.as_graph_def().library.function
    functions = {definition.signature.name: definition.node_def for definition in library}
    kinds, pending = set(), [needed.values()]
    while pending:
        for node in pending.pop():
            called = {node.op, *(value.func.name for value in node.attr.values())}
            called |= {call.name for value in node.attr.values() for call in value.list.func}
            pending += [functions.pop(name) for name in called & functions.keys()]
            kinds.add(node.op)
    return kinds


def need_converter(otherwise: str) -> None:
    """Import the packages that convert and check models; ``otherwise`` says in an error what works without them.

    Raises:
        ModuleNotFoundError: tf2onnx, onnx or onnxruntime is not installed.
    """
    try:
        with silence_converter():
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX export requires {error.name}. Install it with python -m pip install 'kerasal[onnx]'{otherwise}"
        ) from error


def convert(endpoint: Endpoint) -> Any:
    """Return the ``onnx.ModelProto`` of a signature.

    Raises:
        ValueError: the converter fails, or leaves operations that do not exist in ONNX.
    """
    specs = list(endpoint.function.structured_input_signature[0])
    return convert_function(endpoint.function, specs, f"The signature {endpoint.signature.name!r}")


def convert_function(function: Callable, specs: "Sequence[tf.TensorSpec]", name: str) -> Any:
    """Return the ``onnx.ModelProto`` of a TensorFlow function of tensors; ``name`` begins the sentence of an error.

    Raises:
        ValueError: the converter fails, or leaves operations that do not exist in ONNX.
    """
    import onnx
    import tf2onnx

    traced = tf.function(lambda *tensors: function(*tensors), input_signature=specs, autograph=False)
    try:
        with silence_converter():
            model, _ = tf2onnx.convert.from_function(
                traced, input_signature=specs, opset=OPSET, custom_op_handlers={"Erfc": (_one_minus_erf, [])}
            )
    except Exception as error:  # the converter raises exceptions of any class
        raise ValueError(f"{name} cannot be converted to ONNX: {error}") from error
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    missing = sorted({node.op_type for node in _iterate_nodes(model.graph) if node.op_type not in known})
    if missing:
        raise ValueError(
            f"{name} uses operations that do not exist in ONNX: {', '.join(missing)}. Export a SavedModel."
        )
    return model


def _one_minus_erf(context, node, name, args) -> None:
    """Replace an Erfc node, which tf2onnx does not support and every GELU contains, by 1 - Erf."""
    dtype, shape = context.get_dtype(node.output[0]), context.get_shape(node.output[0])
    erf = context.make_node("Erf", node.input, dtypes=[dtype], shapes=[shape])
    constant = context.make_const(f"{name}/one", np.ones((), np.float32))
    cast = context.make_node("Cast", constant.output, attr={"to": dtype})
    context.remove_node(name)
    operands = [cast.output[0], erf.output[0]]
    context.make_node("Sub", operands, name=name, outputs=node.output, dtypes=[dtype], shapes=[shape])


def _iterate_nodes(graph) -> Iterator:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _iterate_nodes(attribute.g) if attribute.HasField("g") else ()


def compare(endpoint: Endpoint, file: pathlib.Path) -> None:
    """Run the ONNX file and the signature on the same two random inputs and compare their outputs.

    Raises:
        ValueError: onnxruntime cannot run the file, or the outputs differ.
    """
    import onnxruntime

    random = np.random.default_rng(0)
    feeds = {}
    for key, example in (endpoint.example or {}).items():
        shape = (2, *example.shape[1:])
        values = random.normal(size=shape) if example.dtype.kind == "f" else np.zeros(shape)
        feeds[key] = values.astype(example.dtype)
    expected = endpoint.function(*map(tf.constant, feeds.values()))
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # the exception has the same text
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        outputs: dict[str, Any] = dict(zip(names, session.run(names, feeds), strict=True))
    except Exception as error:  # the exceptions of onnxruntime derive directly from Exception
        raise ValueError(f"onnxruntime cannot run the signature {endpoint.signature.name!r}: {error}") from error
    for key, tensor in expected.items():
        difference = _describe_difference(outputs[key], tensor.numpy())
        if difference:
            raise ValueError(
                f"The output {key} of the signature {endpoint.signature.name!r} must be the same in onnxruntime as in "
                f"TensorFlow, got {difference}. Nothing was written. Export a SavedModel."
            )


def _describe_difference(actual: np.ndarray, expected: np.ndarray) -> str:
    """Return a phrase on the difference of two arrays; empty if they are equal up to rounding."""
    if actual.shape != expected.shape:
        return f"shape {actual.shape} instead of {expected.shape}"
    if expected.dtype.kind == "O":  # strings, which are bytes in TensorFlow
        same = all(text.decode() == other for text, other in zip(expected.flat, actual.flat, strict=True))
        return "" if same else f"{actual.flat[0]!r} instead of {expected.flat[0].decode()!r}"
    error, largest = np.abs(actual.astype(np.float64) - expected).max(), np.abs(expected).max()
    return (
        "" if error <= _TOLERANCE * max(largest, 1e-6) else f"a difference of {error:.3g} in values up to {largest:.3g}"
    )


@contextlib.contextmanager
def silence_converter() -> Iterator[None]:
    """Keep tf2onnx from logging to the terminal: its errors are raised."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
