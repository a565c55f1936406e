"""The patterns of a layer in two models: their similarity and their center-surround scores."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal.receptive_field.patterns.center_surround import center_surround
from kerasal.receptive_field.patterns.pattern_projection import patterns

import keras


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The patterns of a layer in two models, with their similarity and center-surround scores.

    Attributes:
        channels: int (K,), indices of the channels.
        left: float32 (K, h, w, C), patterns of the first model.
        right: float32 (K, h, w, C), patterns of the second model.
        table: one row per channel with the columns ``channel``; ``similarity``, the cosine of the two patterns from 0
            to 1, or NaN if a pattern is empty; ``center_surround_left`` and ``center_surround_right``, the scores from
            0 to 1 (see ``center_surround``); ``symmetry_left`` and ``symmetry_right``, a factor of these scores.
    """

    channels: np.ndarray
    left: np.ndarray
    right: np.ndarray
    table: pd.DataFrame


def compare_patterns(
    model_a: keras.Model,
    model_b: keras.Model,
    layer: str,
    channels: Sequence[int] | None = None,
    *,
    progress: bool = False,
) -> Comparison:
    """Return the patterns of a layer in two models, and their similarity for each channel.

    The similarity is that of the rectified patterns, as they are drawn. The center-surround score is that of the signed
    patterns, since the final ReLU would remove surrounds below 0. A typical use: a model before and after fine-tuning.

    Args:
        model_a: the first model; it is not changed.
        model_b: the second model, with a layer of the same name, number of channels and receptive field; it is not
            changed.
        layer: name or path of the layer in both models.
        channels: indices of the channels; by default all.
        progress: show a progress bar.

    Raises:
        ValueError: under the conditions of ``patterns``, or if the layers differ in channels or receptive field.

    Source: He & Pugeault 2017, section 4, figures 4.1 to 4.5.
    """
    signed = []
    for model in (model_a, model_b):
        signed.append(patterns(model, layer, channels, final_relu=False, progress=progress))
    if signed[0].shape != signed[1].shape:
        raise ValueError(
            f"Layer {layer!r} must have the same channels and receptive field in both models, but its patterns have "
            f"shape {signed[0].shape} in {model_a.name!r} and {signed[1].shape} in {model_b.name!r}."
        )
    numbers = np.arange(len(signed[0])) if channels is None else np.atleast_1d(np.asarray(channels))
    left, right = (np.maximum(pattern, 0) for pattern in signed)
    scores = [[center_surround(pattern) for pattern in model_patterns] for model_patterns in signed]
    table = pd.DataFrame({"channel": numbers, "similarity": _cosines(left, right)})
    for side, measures in zip(("left", "right"), scores, strict=True):
        table[f"center_surround_{side}"] = [pattern.score for pattern in measures]
        table[f"symmetry_{side}"] = [pattern.symmetry for pattern in measures]
    return Comparison(numbers, left, right, table)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (patterns.reshape(len(patterns), -1).astype(np.float64) for patterns in (left, right))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide((left * right).sum(axis=1), lengths, out=np.full(len(left), np.nan), where=lengths > 0)
