"""The scores of a region of a model's output, in the graph."""

from typing import Any

import tensorflow as tf


def region_scores(output: Any, weights: Any) -> tf.Tensor:
    """Return the mean scores (N, classes) of an output (N, …, classes) over a region of weights (1 or N, …) in 0..1.

    An output (N, …) without an axis of classes has a single class.

    Raises:
        ValueError: the output has no positions, or the region has others.
    """
    if output.shape.rank == 2 < weights.shape.rank:
        raise ValueError(
            f"The output must have positions for a region, got {output.shape}. Pass a class index, or choose an output "
            "with scores per position."
        )
    inner, of_output = weights.shape[2:], (output.shape[1:-1], output.shape[1:])
    if inner.rank > 1 and any(inner.is_compatible_with(positions) for positions in of_output):
        raise ValueError(
            f"mask must have the size of the model's output, {_size(inner)}, got {_size(weights.shape[1:])}. For a "
            "mask per image, pass a list of objectives as the target."
        )
    if output.shape.rank == weights.shape.rank:  # scores of a single class, without an axis of classes
        output = output[..., tf.newaxis]
    if output.shape.rank - 1 != weights.shape.rank or not output.shape[1:-1].is_compatible_with(weights.shape[1:]):
        raise ValueError(
            f"mask must have the size of the model's output, {_size(output.shape[1:-1])}, got "
            f"{_size(weights.shape[1:])}. Resize it without interpolation, as by cv2.resize with INTER_NEAREST."
        )
    axes = list(range(1, weights.shape.rank))
    return tf.reduce_sum(output * weights[..., tf.newaxis], axes) / tf.reduce_sum(weights, axes)[:, tf.newaxis]


def _size(shape: Any) -> str:
    return " × ".join("any" if side is None else str(side) for side in shape)
