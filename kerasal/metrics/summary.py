"""From a table of images to one number a metric, with its uncertainty."""

import numpy as np
import pandas as pd

_CHUNK = 1 << 22  # random numbers at a time


def summarize(table: pd.DataFrame, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Summarize the columns of ``evaluate``: mean, standard error, and a bootstrap interval over images.

    The interval holds the middle ``confidence`` of the means of ``resamples`` sets of images drawn with replacement;
    all columns share the draws. NaN values are left out and counted.

    Args:
        table: one row an image; columns that are not numbers are left out.
        confidence: share of the resampled means in the interval.
        resamples: sets drawn.
        seed: of the draws.

    Returns:
        One row a column: ``mean``, ``standard_error`` (NaN for one image), ``low``, ``high``, ``images``,
        ``undefined``.

    Raises:
        ValueError: an empty table, or options out of range.
    """
    numbers = table.select_dtypes("number")
    if numbers.empty:
        raise ValueError(f"table: expected rows and numeric columns, received shape {table.shape}.")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence and resamples: expected 0..1 and at least 1, received {confidence}, {resamples}.")
    values = numbers.to_numpy(float)
    there = np.isfinite(values)
    count = there.sum(axis=0)
    filled = np.where(there, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / count
        squares = np.where(there, (values - mean) ** 2, 0.0).sum(axis=0)
        error = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1) / count), np.nan)
        means = _resample(filled, there, resamples, np.random.default_rng(seed))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    known = count > 0
    low, high = np.full((2, count.size), np.nan)
    if known.any():
        low[known], high[known] = np.nanquantile(means[:, known], tails, axis=0)
    columns = {"mean": mean, "standard_error": error, "low": low, "high": high}
    summary = pd.DataFrame(columns | {"images": count, "undefined": len(table) - count}, index=numbers.columns)
    summary.index.name = "metric"
    summary.attrs = {**table.attrs, "confidence": confidence, "resamples": resamples}
    return summary


def _resample(filled: np.ndarray, there: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """Return (resamples, columns): the means of the drawn sets, by how often each image is drawn."""
    images = len(filled)
    means = []
    per_chunk = max(1, _CHUNK // images)
    for start in range(0, resamples, per_chunk):
        rows = min(per_chunk, resamples - start)
        drawn = random.integers(images, size=(rows, images)) + np.arange(rows)[:, None] * images
        times = np.bincount(drawn.reshape(-1), minlength=rows * images).reshape(rows, images).astype(float)
        means.append((times @ filled) / (times @ there))
    return np.concatenate(means)
