"""What goes wrong with gaze models: they predict only the mean map or the center, or their output wraps around."""

import dataclasses

import numpy as np
import pandas as pd

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze.predictor import Predictor
from kerasal.images import resize
from kerasal.metrics.blur import center_map
from kerasal.metrics.summary import summarize
from kerasal.progress import progress_bar

_SIDE = (60, 80)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose`` found: one row per image, and what to make of it in sentences."""

    table: pd.DataFrame
    findings: list[str]

    @property
    def summary(self) -> pd.DataFrame:
        """Mean, standard error and bootstrap interval of every column."""
        return summarize(self.table)


def diagnose(predictor: Predictor, data: GazeDataset, *, progress: bool = False) -> Diagnosis:
    """Ask whether a model's maps depend on the image, or are only the mean map or the center, and whether they wrap.

    All maps and densities are brought to 60 x 80 cells, where for each image the columns are Pearson correlations of
    the prediction with

    * ``own``: the density of its image; ``others``: the densities of the other images, their mean correlation. A
      model that knows only the mean map scores as well on others' images as on the right one, so ``own - others`` is
      what it has read off the image;
    * ``mean_map``: the mean density of the other images; ``mean_prediction``: the mean of the other predictions;
    * ``center``: the center Gaussian;

    and ``truth_center``, the correlation of the density with the center; ``below`` and ``above``, the shares of the
    model's own pixels that are below 0 or above 1, which a cast to uint8 wraps around.

    Raises:
        ValueError: fewer than three images.
    """
    if len(data) < 3:
        raise ValueError(f"To tell the mean map from the image takes three images or more. Received {len(data)}.")
    predictions, truths, below, above = [], [], [], []
    with progress_bar("Predicting", len(data), progress) as advance:
        for name, raw in zip(data.names, predictor.raw(data.image(name) for name in data.names), strict=True):
            predictions.append(_shrink(raw))
            truths.append(_shrink(np.asarray(data.density(name))))
            below.append(float((raw < 0).mean()))
            above.append(float((raw > 1).mean()))
            advance(1)
    prediction, truth = np.stack(predictions), np.stack(truths)
    count = len(prediction)
    z, t = _standardize(prediction), _standardize(truth)
    every = z @ t.T / z.shape[1]  # (predictions, truths), all correlations at once
    center = _standardize(_shrink(center_map(_SIDE))[None])[0]
    table = pd.DataFrame(
        {
            "own": np.diag(every),
            "others": (every.sum(axis=1) - np.diag(every)) / (count - 1),
            "mean_map": _correlate_with_others(z, _normalize(truth)),
            "mean_prediction": _correlate_with_others(z, z),
            "center": z @ center / z.shape[1],
            "truth_center": t @ center / t.shape[1],
            "below": below,
            "above": above,
        },
        index=pd.Index(data.names, name="image"),
    )
    return Diagnosis(table, _describe(table))


def _shrink(values: np.ndarray) -> np.ndarray:
    return resize(np.asarray(values, np.float32), _SIDE).astype(np.float64).reshape(-1)


def _standardize(maps: np.ndarray) -> np.ndarray:
    """Return maps of mean 0 and standard deviation 1; a constant one becomes zeros, correlated with nothing."""
    # Shrinking a constant map leaves rounding in it, which would be scaled up to a contrast.
    varies = np.ptp(maps, axis=1, keepdims=True) > 1e-5 * np.abs(maps).max(axis=1, keepdims=True)
    centered = maps - maps.mean(axis=1, keepdims=True)
    return np.where(varies, centered, 0.0) / np.where(varies, centered.std(axis=1, keepdims=True), 1.0)


def _normalize(maps: np.ndarray) -> np.ndarray:
    return maps / np.maximum(maps.sum(axis=1, keepdims=True), 1e-12)


def _correlate_with_others(z: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return each map's correlation with the mean of the others' ``maps``."""
    means = _standardize((maps.sum(axis=0) - maps) / (len(maps) - 1))
    return (z * means).mean(axis=1)


def _describe(table: pd.DataFrame) -> list[str]:
    mean: dict[str, float] = table.mean().to_dict()
    gap = table["own"] - table["others"]
    interval: dict[str, float] = summarize(gap.to_frame("gap")).loc["gap"].to_dict()
    found = [
        f"A prediction correlates with its own image's density at {mean['own']:.3f} and with other images' at "
        f"{mean['others']:.3f}: {interval['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}] is read off the "
        "image."
    ]
    if mean["mean_prediction"] == 0:
        found.append("The predictions are constant: nothing is predicted.")
    elif interval["low"] <= 0:
        found.append(
            f"It is only the mean map: the predictions correlate with each other at {mean['mean_prediction']:.3f} and "
            f"with the mean map at {mean['mean_map']:.3f}, and do no better on their own images than on others."
        )
    elif mean["mean_prediction"] > 0.9:
        found.append(
            f"It is mostly the mean map: the predictions correlate with each other at {mean['mean_prediction']:.3f}."
        )
    bias = mean["center"] - mean["truth_center"]
    found.append(
        f"Correlation with the center: predictions {mean['center']:.3f}, truth {mean['truth_center']:.3f}"
        + ("; it looks too much at the center." if bias > 0.15 else "; too little." if bias < -0.15 else ".")
    )
    if mean["below"] + mean["above"] > 0:
        found.append(
            f"{mean['below']:.1%} of the pixels are below 0 and {mean['above']:.1%} above 1. Cast to uint8 without "
            "clipping they wrap around: -0.02 becomes 251, nearly white, and 1.03 becomes 6, nearly black. That is the "
            "likely cause of bright pixels where nobody looked (legacy=True reproduces it); here they are clipped."
        )
    return found
