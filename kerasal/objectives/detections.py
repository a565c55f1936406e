"""The score of a box among a model's detections, in the graph."""

from typing import Any

from kerasal.objectives.model_outputs import ModelOutputs

import tensorflow as tf

_PLAIN_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh")
BOX_FORMATS = (*_PLAIN_FORMATS, *(f"rel_{name}" for name in _PLAIN_FORMATS))
"""How a model writes boxes; with ``rel_``, coordinates are shares of the width and height of the image."""


def box_score(node: tuple, parameters: list, outputs: ModelOutputs, limits: list) -> tf.Tensor:
    """Return class score × overlap of the best detection, (N,); see ``kerasal.objectives.box``.

    ``node`` is ("box", boxes, scores, objectness, format, activation, match), and ``parameters`` are the numbered
    class indices (1 or N,) and boxes (1 or N, 4).
    """
    _, boxes_source, scores_source, objectness_source, box_format, activation, match = node
    (class_number, classes), (box_number, asked) = parameters
    height, width = outputs.image_size()
    boxes = _read("boxes", boxes_source, outputs)
    scores = _read("scores", scores_source, outputs)
    if boxes.shape.rank != 3 or boxes.shape[-1] not in (4, None):
        raise ValueError(f"boxes must have the shape (N, K, 4), got {boxes.shape}. Pass a function that decodes them.")
    if scores.shape.rank != 3:
        raise ValueError(f"scores must have the shape (N, K, classes), got {scores.shape}. Pass a function.")
    if not boxes.shape[1:2].is_compatible_with(scores.shape[1:2]):
        raise ValueError(
            f"boxes and scores must have the same number K of detections, got {boxes.shape[1]} and {scores.shape[1]}."
        )
    limits.append((class_number, scores.shape[-1], "classes"))
    # Exclusive bounds: the box has to begin inside of the image and may end at its border.
    limits.append((box_number, (width, height, None, None), lambda box: _outside_message(box, height, width)))
    probabilities = _probabilities(scores_source, scores, activation, outputs)
    rows = tf.shape(boxes)[0]
    wanted = tf.broadcast_to(classes, [rows])
    by_class = tf.gather(probabilities, wanted, axis=2, batch_dims=1)
    if match == "cosine":
        by_class = tf.math.divide_no_nan(by_class, tf.norm(probabilities, axis=-1))
    if objectness_source is not None:
        objectness = _read("objectness", objectness_source, outputs)
        by_class *= tf.reshape(objectness, tf.shape(by_class))
    values = by_class * overlaps(_to_corners(boxes, box_format, height, width), asked)
    # Not reduce_max, which would divide the gradient among equal detections.
    return tf.gather(values, tf.argmax(values, axis=1, output_type=tf.int32), batch_dims=1)


def overlaps(boxes: Any, box: Any) -> tf.Tensor:
    """Return the intersection over union of boxes (N, K, 4) with one box per image (1 or N, 4), as corners: (N, K)."""
    box = box[:, None]
    sides = tf.maximum(tf.minimum(boxes[..., 2:], box[..., 2:]) - tf.maximum(boxes[..., :2], box[..., :2]), 0.0)
    common = sides[..., 0] * sides[..., 1]
    return tf.math.divide_no_nan(common, _area(boxes) + _area(box) - common)


def _outside_message(box: list[float], height: int, width: int) -> str:
    return f"box must overlap the image, {width} × {height} pixels (width × height), got {tuple(box)}."


def _area(boxes: Any) -> tf.Tensor:
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def _to_corners(boxes: Any, box_format: str, height: int, width: int) -> tf.Tensor:
    """Return boxes as (x_min, y_min, x_max, y_max) in pixels."""
    name = box_format.removeprefix("rel_")
    if name == "yxyx":
        boxes = tf.gather(boxes, [1, 0, 3, 2], axis=-1)
    elif name == "xywh":
        boxes = tf.concat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)
    elif name == "center_xywh":
        half = boxes[..., 2:] / 2
        boxes = tf.concat([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)
    return boxes * tf.constant([width, height, width, height], tf.float32) if name != box_format else boxes


def _read(what: str, source: Any, outputs: ModelOutputs) -> tf.Tensor:
    tensor = outputs.call(source) if callable(source) else outputs.raw(source)
    if not tf.is_tensor(tensor):
        raise ValueError(f"{what} must be a single tensor, got {type(tensor).__name__}.")
    return tf.cast(tensor, tf.float32)


def _probabilities(source: Any, scores: Any, activation: str | None, outputs: ModelOutputs) -> tf.Tensor:
    if activation is None and (callable(source) or not outputs.are_probabilities(source)):
        what = "the result of a function" if callable(source) else f"output {source!r}"
        raise ValueError(
            f"activation must be set, because {what} is not a softmax or sigmoid that is found in the "
            'model. Pass activation="sigmoid" or "softmax" for logits, or "none" for probabilities.'
        )
    return {"sigmoid": tf.sigmoid, "softmax": tf.nn.softmax}.get(activation or "", tf.identity)(scores)
