"""Objectives on the outputs of models that are no classifiers: segmentation, embeddings, detection, several heads."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from kerasal.checks import check_choice, refuse_mask
from kerasal.objectives.detections import BOX_FORMATS
from kerasal.objectives.expression import Objective, check_indices, shorten, walk
from kerasal.objectives.function_reference import FunctionReference

Activation = Literal["sigmoid", "softmax", "none"]


def region(mask: Any, index: int | Sequence[int]) -> Objective:
    """Score of a class over a region: its mean over the positions of a mask, for a model with scores per position.

    This is the target for semantic segmentation. With the methods' ``logits=True`` it is the mean logit.

    Args:
        mask: the region, bool or numbers in 0..1 that weigh the positions, with the positions of the model's output:
            (h, w) for an output (N, h, w, classes). For a mask per image, pass a list of objectives as the target.
        index: index of the class, from 0; or a sequence with an index per image.

    Raises:
        TypeError: ``index`` is not an integer or a sequence of integers.
        ValueError: the mask is empty, not finite or outside 0..1; an index is negative or at least 2**31. When it is
            used: the mask does not have the size of the output.

    Source: Vinogradova, Dibrov & Myers 2020, "Towards interpretable semantic segmentation via gradient-weighted class
    activation mapping" (Seg-Grad-CAM), whose sum over the region is divided by its number of positions here.
    """
    refuse_mask(mask, "mask")
    weights = np.asarray(mask)
    if weights.ndim == 0 or weights.dtype.kind not in "biuf" or not np.all((weights >= 0) & (weights <= 1)):
        got = f"shape {weights.shape}" if weights.ndim == 0 or weights.dtype.kind not in "biuf" else _range(weights)
        raise ValueError(
            f"mask must be an array of bool or of numbers in 0..1, got {got}. Compare first, as in mask > 0."
        )
    if not weights.any():
        raise ValueError(f"mask must hold at least one position, got an empty region of shape {weights.shape}.")
    share = f"{np.count_nonzero(weights)} of {weights.size} positions"
    return Objective(
        ("region",),
        (check_indices(index), weights.astype(np.float32)[None]),
        f"class {shorten(index)} over {share}",
    )


def negative_class(index: int | Sequence[int] = 0) -> Objective:
    """Score against a class with a sigmoid of its own: its negative logit, or 1 minus its probability.

    A model with one sigmoid output, ``Dense(1, activation="sigmoid")``, has no output for its negative class. Maps for
    this objective show what speaks for that class.

    Args:
        index: index of the output, from 0; or a sequence with an index per image.

    Raises:
        TypeError: ``index`` is not an integer or a sequence of integers.
        ValueError: an index is negative or at least 2**31. When it is used: the output comes from a softmax, where the
            other classes have scores of their own.
    """
    return Objective(("negative",), (check_indices(index),), f"not class {shorten(index)}")


def similarity(vector: Any, layer: str | None = None) -> Objective:
    """Cosine similarity of a model's embedding to a vector, in -1..1, for retrieval and Siamese models.

    Args:
        vector: the embedding to compare with, such as that of another image: (C,), or (N, C) with one per image; finite
            and not 0.
        layer: name or path of the layer that holds the embedding; by default the model's output. An output with
            positions is averaged over them first.

    Raises:
        ValueError: the vector is 0, not finite or not (C,) or (N, C). When it is used: its length is not that of the
            embedding.
    """
    refuse_mask(vector, "vector")
    vectors = np.asarray(vector, dtype=np.float32)
    if vectors.ndim not in (1, 2) or 0 in vectors.shape or not np.all(np.isfinite(vectors)):
        raise ValueError(
            f"vector must be finite and have the shape (C,), or (N, C) for a vector per image, got shape "
            f"{vectors.shape}."
        )
    vectors = np.atleast_2d(vectors)
    if not np.all(np.any(vectors, axis=1)):
        raise ValueError("vector must not be 0, since a zero vector has no direction.")
    structure = ("similarity",) if layer is None else ("similarity", layer)
    return Objective(structure, (vectors,), f"similarity to {len(vectors[0])} numbers{f' at {layer}' if layer else ''}")


def output(name: str | int, target: "Objective | Callable | int | None" = None) -> Objective:
    """Score of one output of a model with several, so that scores of different outputs can be combined.

        output("species", 3) - output("age")
        output("boxes", lambda boxes: boxes[:, 0, 2] - boxes[:, 0, 0])

    Args:
        name: name or position of the output.
        target: what is asked of this output: a class index, an objective on outputs (``class_score``, ``region``,
            ``similarity``, ``negative_class`` or a combination of them), or a function of the output that returns (N,)
            scores. By default the output must be a single value per input, (N,) or (N, 1).

    Raises:
        TypeError: the target is none of these.
        ValueError: the objective reads a layer or the top class. When it is used: the model has no such output.
    """
    functions: tuple = ()
    if target is None:
        inner = Objective(("value",), (), "value")
    elif isinstance(target, Objective):
        inner, functions = target, target.functions
        names = sorted({node[0] for node in walk(target.structure)})
        if "top" in names or target.layers or "box" in names or "output" in str(target.structure):
            raise ValueError(
                f"target of an output must be a score of that output, got {target!r}. Pass a class index, or "
                "objectives.class_score, region, similarity or negative_class."
            )
    elif callable(target):
        functions = (target,)
        name_of_function = getattr(target, "__name__", type(target).__name__)
        inner = Objective(("callable", FunctionReference(target)), (), name_of_function)
    else:
        inner = Objective(("class",), (check_indices(target),), f"class {shorten(target)}")
    return Objective(("output", name, inner.structure), inner.parameters, f"{name}: {inner.description}", functions)


def box(
    box: Sequence[float],
    index: int | Sequence[int],
    *,
    boxes: "str | Callable",
    scores: "str | Callable",
    box_format: str = "xyxy",
    activation: Activation | None = None,
    objectness: "str | Callable | None" = None,
    match: Literal["score", "cosine"] = "score",
) -> Objective:
    """Score of a detection: class score × overlap (IoU) with a box, for the best of the model's detections.

    The score is differentiable by the class scores and by the coordinates of the best detection.

    Args:
        box: the box asked about, (x_min, y_min, x_max, y_max) in pixels of the model's input, upper bounds exclusive.
        index: index of the class, from 0; or a sequence with an index per image.
        boxes: name of the output with boxes (N, K, 4); or a function of {name: output} that returns them, which may
            decode boxes relative to anchors.
        scores: name of the output with class scores (N, K, classes), or a function that returns them.
        box_format: the coordinates of ``boxes``: "xyxy", "yxyx", "xywh" or "center_xywh" in pixels, or with the prefix
            "rel_" in shares of the image.
        activation: "sigmoid" or "softmax" to turn ``scores`` into probabilities, or "none" if they are probabilities.
            By default they must come from a softmax or sigmoid in the model.
        objectness: name of an output (N, K) or (N, K, 1) of probabilities that multiply the class scores, or a function
            that returns it.
        match: "score" multiplies the probability of the class; "cosine" the cosine of the class probabilities to the
            class alone, as in D-RISE (Petsiuk et al. 2021).

    Raises:
        TypeError: ``index`` is not an integer or a sequence of integers.
        ValueError: the box is not finite or has no area; an unknown format, activation or match. When it is used: the
            box lies outside of the image, an output is missing or has another shape, or ``scores`` are no
            probabilities and ``activation`` is None.
    """
    refuse_mask(box, "box")
    corners = np.asarray(box, dtype=np.float32)
    bad = corners.shape != (4,) or not np.all(np.isfinite(corners)) or np.any(corners[2:] <= corners[:2])
    if bad or np.any(corners[2:] <= 0):
        raise ValueError(
            "box must be (x_min, y_min, x_max, y_max) with x_min < x_max, y_min < y_max and a part inside the image, "
            f"in pixels of the input, got {box!r}."
        )
    check_choice("box_format", box_format, BOX_FORMATS)
    check_choice("match", match, ("score", "cosine"))
    if activation is not None:
        check_choice("activation", activation, ("sigmoid", "softmax", "none"))
    functions = tuple(source for source in (boxes, scores, objectness) if callable(source))
    sources = [FunctionReference(source) if callable(source) else source for source in (boxes, scores, objectness)]
    description = f"class {shorten(index)} in the box {', '.join(f'{value:g}' for value in corners)}"
    structure = ("box", *sources, box_format, activation, match)
    return Objective(structure, (check_indices(index), corners[None]), description, functions)


def _range(weights: np.ndarray) -> str:
    return f"values of {weights.min()}..{weights.max()}"
