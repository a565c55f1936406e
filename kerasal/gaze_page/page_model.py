"""A gaze model as an ONNX file that takes resized photos and returns what ``Predictor.raw`` does, and its check."""

import pathlib
from collections.abc import Iterable

import numpy as np

from kerasal.gaze import Predictor
from kerasal.serving.onnx_graph import convert_function

import tensorflow as tf

TOLERANCE = 1e-3
"""The largest difference from TensorFlow, relative to the largest value of a map."""
_SMALLEST = 512
"""Numbers; smaller weights are not worth another data type."""


def convert_predictor(predictor: Predictor):
    """Return the ``onnx.ModelProto`` of a predictor: photos uint8 (1, H, W, 3) to maps float32 (1, h, w).

    Preprocessing is part of the model. Weights that half precision holds exactly are stored in it.

    Raises:
        ValueError: the model cannot be converted.
    """
    pixels = tf.TensorSpec((1, *(predictor.size or (None, None)), 3), tf.uint8, name="photo")
    model = convert_function(predictor.forward, [pixels], f"The gaze model {predictor.model.name!r}")
    for value, sides in ((model.graph.input[0], ("height", "width", "")), (model.graph.output[0], ("rows", "columns"))):
        for name, side in zip(sides, value.type.tensor_type.shape.dim[1:], strict=False):
            if not side.HasField("dim_value"):
                side.dim_param = name
    store_in_half(model)
    return model


def store_in_half(model) -> None:
    """Store the float32 weights that half precision holds exactly in it; the runtime converts them when it starts."""
    import onnx

    casts = []
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < _SMALLEST:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            name = weights.name
            weights.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def compare_maps(predictor: Predictor, file: pathlib.Path, photos: Iterable[np.ndarray]) -> float:
    """Return the largest difference of the file's maps in onnxruntime from the predictor's, relative to each maximum.

    Raises:
        ValueError: onnxruntime cannot run the file, or a difference exceeds ``TOLERANCE``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the exception has the same text
    largest = 0.0
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for photo in photos:
            expected = next(predictor.raw([photo]))
            actual = np.asarray(session.run(None, {name: predictor.fit(photo)[None]})[0])[0]
            if actual.shape != expected.shape:
                raise ValueError(f"maps of {actual.shape} instead of {expected.shape}")
            largest = max(largest, float(np.abs(actual - expected).max() / (np.abs(expected).max() or 1)))
    except Exception as error:  # the exceptions of onnxruntime derive directly from Exception
        raise ValueError(f"onnxruntime cannot run the gaze model {predictor.model.name!r}: {error}") from error
    if not largest <= TOLERANCE:
        raise ValueError(
            f"The maps of {predictor.model.name!r} must be the same in onnxruntime as in TensorFlow, got a difference "
            f"of {largest:.3g} of the largest value. Nothing was written."
        )
    return largest
