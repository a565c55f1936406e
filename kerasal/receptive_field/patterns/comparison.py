"""Before and after: the patterns of one layer in two models, side by side and in numbers."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal.receptive_field.patterns.painter import patterns
from kerasal.receptive_field.patterns.symmetry import centre_surround

import keras


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What ``compare_patterns`` found.

    Attributes:
        channels: the K channels.
        left: float32 (K, h, w, C), the patterns of the first model.
        right: those of the second.
        table: a row for each channel: ``channel``, ``similarity`` (cosine of the two patterns, from 0 to 1; NaN where
            one is empty), ``centre_surround_left`` and ``centre_surround_right`` (from 0 to 1, see
            ``centre_surround``), and their ``symmetry_left`` and ``symmetry_right``.
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
    """Compare the patterns of one layer in two models, such as before and after fine-tuning, channel by channel.

    Patterns are compared as they are shown, without their negative part; the centre-surround score is that of the whole
    signed pattern, since the final ReLU would cut the surround off.

    Args:
        model_a: the first model; neither is changed.
        model_b: the second, with a layer of the same name, number of channels and receptive field.
        layer: name or path of the layer in both.
        channels: which; by default all.
        progress: show a progress bar.

    Raises:
        ValueError: what ``patterns`` refuses, or layers that differ in channels or receptive field.

    Source: He & Pugeault 2017, section 4, figures 4.1 to 4.5.
    """
    signed = []
    for model in (model_a, model_b):
        signed.append(patterns(model, layer, channels, final_relu=False, progress=progress))
    if signed[0].shape != signed[1].shape:
        raise ValueError(
            f"The patterns of {layer!r} have the shape {signed[0].shape} in {model_a.name!r}, but {signed[1].shape} in "
            f"{model_b.name!r}. Expected two models with this layer, its channels and its receptive field alike."
        )
    numbers = np.arange(len(signed[0])) if channels is None else np.atleast_1d(np.asarray(channels))
    left, right = (np.maximum(one, 0) for one in signed)
    scores = [[centre_surround(one) for one in each] for each in signed]
    table = pd.DataFrame({"channel": numbers, "similarity": _cosines(left, right)})
    for side, found in zip(("left", "right"), scores, strict=True):
        table[f"centre_surround_{side}"] = [one.score for one in found]
        table[f"symmetry_{side}"] = [one.symmetry for one in found]
    return Comparison(numbers, left, right, table)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (one.reshape(len(one), -1).astype(np.float64) for one in (left, right))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide((left * right).sum(axis=1), lengths, out=np.full(len(left), np.nan), where=lengths > 0)
