"""Summarize a table of scores: mean and confidence interval per metric, and ratios of means."""

import numpy as np
import pandas as pd

_CHUNK = 1 << 22  # random numbers drawn per step


def summarize(table: pd.DataFrame, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Return the mean, the standard error and a bootstrap confidence interval of each column of ``evaluate``'s table.

    The interval covers the central fraction ``confidence`` of the means of ``resamples`` bootstrap samples of images,
    drawn with replacement and shared by all columns. NaN values are excluded and counted.

    Args:
        table: table with a row per image; columns that are not numeric are ignored.
        confidence: confidence level of the interval, between 0 and 1.
        resamples: number of bootstrap samples.
        seed: seed for the bootstrap samples.

    Returns:
        A DataFrame with a row per column of ``table``, and the columns ``mean``, ``standard_error`` (NaN for a single
        image), ``low``, ``high``, ``images`` and ``undefined`` (the number of NaN values).

    Raises:
        ValueError: the table is empty, or an option is out of range.
    """
    numbers = table.select_dtypes("number")
    if numbers.empty:
        raise ValueError(f"table must have rows and numeric columns, got shape {table.shape}.")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence must be in 0..1 and resamples positive, got {confidence}, {resamples}.")
    values = numbers.to_numpy(float)
    is_finite = np.isfinite(values)
    count = is_finite.sum(axis=0)
    filled = np.where(is_finite, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / count
        squares = np.where(is_finite, (values - mean) ** 2, 0.0).sum(axis=0)
        error = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1) / count), np.nan)
        means = _resample(filled, is_finite, resamples, np.random.default_rng(seed))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    has_values = count > 0
    low, high = np.full((2, count.size), np.nan)
    if has_values.any():
        low[has_values], high[has_values] = np.nanquantile(means[:, has_values], tails, axis=0)
    columns = {"mean": mean, "standard_error": error, "low": low, "high": high}
    summary = pd.DataFrame(columns | {"images": count, "undefined": len(table) - count}, index=numbers.columns)
    summary.index.name = "metric"
    summary.attrs = {**table.attrs, "confidence": confidence, "resamples": resamples}
    return summary


def summarize_ratio(
    numerator: np.ndarray, denominator: np.ndarray, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the ratio of the means of two columns (N,), and a bootstrap interval (low, high) over images.

    Both means are of the same bootstrap samples. All three numbers are NaN unless the mean of the denominator is
    positive in every sample. Images of which a value is NaN are left out.
    """
    values = np.stack([np.asarray(numerator, float), np.asarray(denominator, float)], axis=1)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    means = _resample(values, np.ones_like(values, bool), resamples, np.random.default_rng(seed))
    if not (means[:, 1].min() > 0 and values[:, 1].mean() > 0):
        return float("nan"), float("nan"), float("nan")
    low, high = np.quantile(means[:, 0] / means[:, 1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values[:, 0].mean() / values[:, 1].mean()), float(low), float(high)


def _resample(filled: np.ndarray, is_finite: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """Return the means (resamples, columns) of the bootstrap samples, as sums weighted by the counts of each image."""
    images = len(filled)
    means = []
    per_chunk = max(1, _CHUNK // images)
    for start in range(0, resamples, per_chunk):
        rows = min(per_chunk, resamples - start)
        drawn = random.integers(images, size=(rows, images)) + np.arange(rows)[:, None] * images
        counts = np.bincount(drawn.reshape(-1), minlength=rows * images).reshape(rows, images).astype(float)
        means.append((counts @ filled) / (counts @ is_finite))
    return np.concatenate(means)
