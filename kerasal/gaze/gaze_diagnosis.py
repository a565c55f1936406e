"""Diagnosis of gaze models that predict only the mean map or the center, or whose output wraps around in 8 bits."""

import dataclasses

import numpy as np
import pandas as pd

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.gaze_types import Points
from kerasal.gaze.gaze_prediction import finish_prediction
from kerasal.gaze.observer_ceiling import NoCeiling, ceiling, describe_explained, explained_share, measure_gain
from kerasal.gaze.predictor import Predictor
from kerasal.images import resize
from kerasal.metrics.blur import center_map
from kerasal.metrics.summary import summarize
from kerasal.progress import progress_bar

_SIDE = (60, 80)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The result of ``diagnose``.

    Attributes:
        table: one row per image; see ``diagnose`` for the columns.
        findings: conclusions, as sentences.
    """

    table: pd.DataFrame
    findings: list[str]

    @property
    def summary(self) -> pd.DataFrame:
        """The mean, standard error and bootstrap interval of each column."""
        return summarize(self.table)


def diagnose(predictor: Predictor, data: GazeDataset, *, progress: bool = False) -> Diagnosis:
    """Return the correlations that show whether a model's maps depend on the image or only on the mean map or center.

    All maps and densities are resized to 60 x 80 cells. The first columns of the table are Pearson correlations of the
    prediction for an image with

    * ``own``: the density of this image, and ``others``: the densities of the other images, averaged. A model that
      predicts only the mean map correlates equally with both, so their difference measures how far the predictions
      depend on the image;
    * ``mean_map``: the mean density of the other images, and ``mean_prediction``: the mean of the other predictions;
    * ``center``: the center Gaussian.

    ``truth_center`` is the correlation of the density with the center; ``below`` and ``above`` are the shares of pixels
    of the raw output below 0 and above 1, which wrap around in a cast to uint8. If the data tell observers apart,
    ``gain`` and ``ceiling`` are the information gains of the model and of the other observers over the center in bits
    per fixation; see ``kerasal.gaze.ceiling``.

    Args:
        predictor: the gaze model.
        data: photos with the densities of fixations.
        progress: whether to show a progress bar.

    Raises:
        ValueError: there are fewer than three images.
    """
    if len(data) < 3:
        raise ValueError(f"data must have at least 3 images to compute a mean map of the others, got {len(data)}.")
    try:
        limit = ceiling(data, progress=progress).table["information_gain"]
    except NoCeiling:
        limit = None
    predictions, truths, below, above, gains = [], [], [], [], []
    with progress_bar("Predicting", len(data), progress) as advance:
        inputs = (data.stimulus(name).model_pixels(predictor.size) for name in data.names)
        for name, raw in zip(data.names, predictor.raw(inputs), strict=True):
            predictions.append(_shrink(raw))
            truths.append(_shrink(np.asarray(data.density(name))))
            below.append(float((raw < 0).mean()))
            above.append(float((raw > 1).mean()))
            if limit is not None:
                gains.append(_measure_gain(predictor, raw, data.points(name)))
            advance(1)
    prediction, truth = np.stack(predictions), np.stack(truths)
    count = len(prediction)
    z, t = _standardize(prediction), _standardize(truth)
    pairwise = z @ t.T / z.shape[1]  # correlations, (predictions, truths)
    center = _standardize(_shrink(center_map(_SIDE))[None])[0]
    table = pd.DataFrame(
        {
            "own": np.diag(pairwise),
            "others": (pairwise.sum(axis=1) - np.diag(pairwise)) / (count - 1),
            "mean_map": _correlate_with_others(z, _normalize(truth)),
            "mean_prediction": _correlate_with_others(z, z),
            "center": z @ center / z.shape[1],
            "truth_center": t @ center / t.shape[1],
            "below": below,
            "above": above,
        },
        index=pd.Index(data.names, name="image"),
    )
    if limit is not None:
        table["gain"], table["ceiling"] = gains, limit
    return Diagnosis(table, _describe(table))


def _measure_gain(predictor: Predictor, raw: np.ndarray, points: Points | None) -> float:
    if points is None or not len(points.xy) or points.frame is None:
        return float("nan")
    prediction = finish_prediction(predictor, raw, points.frame, predictor.postprocess)
    return measure_gain(prediction.log_density, points)


def _shrink(values: np.ndarray) -> np.ndarray:
    return resize(np.asarray(values, np.float32), _SIDE).astype(np.float64).reshape(-1)


def _standardize(maps: np.ndarray) -> np.ndarray:
    """Return maps with mean 0 and standard deviation 1; constant maps become 0, and so do their correlations."""
    # Resizing a constant map leaves rounding errors, which would be scaled up to a contrast.
    varies = np.ptp(maps, axis=1, keepdims=True) > 1e-5 * np.abs(maps).max(axis=1, keepdims=True)
    centered = maps - maps.mean(axis=1, keepdims=True)
    return np.where(varies, centered, 0.0) / np.where(varies, centered.std(axis=1, keepdims=True), 1.0)


def _normalize(maps: np.ndarray) -> np.ndarray:
    return maps / np.maximum(maps.sum(axis=1, keepdims=True), 1e-12)


def _correlate_with_others(z: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return the correlation of each standardized map in ``z`` with the mean of the other ``maps``."""
    means = _standardize((maps.sum(axis=0) - maps) / (len(maps) - 1))
    return (z * means).mean(axis=1)


def _describe(table: pd.DataFrame) -> list[str]:
    mean: dict[str, float] = table.mean().to_dict()
    gap = table["own"] - table["others"]
    interval: dict[str, float] = summarize(gap.to_frame("gap")).loc["gap"].to_dict()
    findings = [
        f"The mean correlation of a prediction is {mean['own']:.3f} with the density of its image and "
        f"{mean['others']:.3f} with those of other images: the model gets {interval['mean']:.3f} "
        f"[{interval['low']:.3f}, {interval['high']:.3f}] from the image."
    ]
    if mean["mean_prediction"] == 0:
        findings.append("The predictions are constant: the model predicts nothing.")
    elif interval["low"] <= 0:
        findings.append(
            "The model predicts only the mean map: its predictions fit other images as well as the right image, and "
            f"have a correlation of {mean['mean_prediction']:.3f} with each other and {mean['mean_map']:.3f} with the "
            "mean map."
        )
    elif mean["mean_prediction"] > 0.9:
        findings.append(
            "The model predicts mostly the mean map: its predictions have a correlation of "
            f"{mean['mean_prediction']:.3f} with each other."
        )
    bias = mean["center"] - mean["truth_center"]
    findings.append(
        f"Correlation with the center: predictions {mean['center']:.3f}, fixations {mean['truth_center']:.3f}"
        + (": the model predicts the center too often." if bias > 0.15 else ": too rarely." if bias < -0.15 else ".")
    )
    if "ceiling" in table:
        findings.append(describe_explained(explained_share(table["gain"], table["ceiling"])))
    if mean["below"] + mean["above"] > 0:
        findings.append(
            f"{mean['below']:.1%} of the pixels are below 0 and {mean['above']:.1%} above 1. Cast to uint8 without "
            "clipping, they wrap around: -0.02 becomes 251, nearly white, and 1.03 becomes 6, nearly black. This is a "
            "possible cause of bright pixels where nobody looked (legacy=True reproduces it); kerasal clips the values."
        )
    return findings
