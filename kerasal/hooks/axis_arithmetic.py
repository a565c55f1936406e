"""The labels of axes after an operation that moves, merges or multiplies axes: reshape, concatenation, slice, product.

``kerasal.hooks.axis_labels`` calls these functions with the labels of an operation's inputs.
"""

from typing import Any

import tensorflow as tf

Labels = tuple[frozenset, ...]
NONE = frozenset()


def equation(op: tf.Operation) -> tuple[list[list], list]:
    """Return an operation as an einsum equation: the letters of the axes of each factor, and those of the product."""
    ranks = [tensor.shape.rank for tensor in op.inputs]
    if op.type == "Einsum":
        left, right = op.get_attr("equation").decode().replace(" ", "").split("->")
        terms = [_letters(term, rank) for term, rank in zip(left.split(","), ranks, strict=True)]
        return terms, _letters(right, op.outputs[0].shape.rank)
    first, second = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
    batch = [_letters("...", rank - 2) for rank in ranks]
    left_axes = "ji" if op.get_attr(first) else "ij"
    right_axes = "kj" if op.get_attr(second) else "jk"
    longest = max(batch, key=len)
    return [[*batch[0], *left_axes], [*batch[1], *right_axes]], [*longest, *"ik"]


def _letters(term: str, rank: int) -> list:
    """Return the letters of an einsum term, where the axes of an ellipsis are numbered from the right."""
    before, dots, after = term.partition("...")
    spelled = [f".{number}" for number in range(rank - len(before) - len(after), 0, -1)] if dots else []
    return [*before, *spelled, *after]


def reshape_labels(labels: Labels, before: list, after: list) -> Labels:
    """Return the labels after a reshape: merged or split axes have the union of the labels they come from."""
    result = [NONE] * len(after)
    i, j = len(before), len(after)
    while i and j:  # take the smallest groups of axes, from the right, that hold equally many values
        first_i, first_j = i - 1, j - 1
        have, want = before[first_i], after[first_j]
        while have is not None and want is not None and have != want:
            if have < want:
                first_i -= 1
                have = None if before[first_i] is None else have * before[first_i]
            else:
                first_j -= 1
                want = None if after[first_j] is None else want * after[first_j]
            if min(first_i, first_j) < 0:
                raise ValueError(f"A reshape must keep the number of values, got {before} and {after}.")
        if None in (have, want):  # an unknown size takes all axes that are left
            first_i = first_j = 0
        same = before[first_i:i] == after[first_j:j]
        union = frozenset().union(*labels[first_i:i])
        for k in range(first_j, j):
            result[k] = labels[k - first_j + first_i] if same else NONE if after[k] == 1 else union
        i, j = first_i, first_j
    return tuple(result)


def concatenate_labels(op, inputs) -> Labels:
    known = [labels for labels in inputs if labels is not None]
    union = tuple(frozenset().union(*axes) for axes in zip(*known, strict=True))
    axis = 0 if op.type == "ConcatV2" else op.get_attr("axis") % (len(union) + 1)
    return union if op.type == "ConcatV2" else (*union[:axis], NONE, *union[axis:])


def slice_labels(op: tf.Operation, labels: Labels) -> Labels:
    """Return the labels after ``x[…]``: an integer index drops its axis, a new axis has no labels."""
    count: Any = op.inputs[1].shape[0]
    masks = {name: op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")}
    result, axis = [], 0
    for place in range(count):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            rest = count - place - 1 - bin(masks["new_axis"] >> (place + 1)).count("1")
            result += labels[axis : len(labels) - rest]
            axis = len(labels) - rest
        elif masks["new_axis"] & bit:
            result.append(NONE)
        else:
            result += [] if masks["shrink_axis"] & bit else [labels[axis]]
            axis += 1
    return (*result, *labels[axis:])
