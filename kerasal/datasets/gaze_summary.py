"""Describe a gaze data set in a few lines, to find problems before training."""

import collections
from typing import Any

import numpy as np

from kerasal.datasets.gaze_types import scale_density
from kerasal.metrics.blur import center_map, gaussian_blur

_GRID = (48, 64)
_BLUR = 2.0  # cells; smooths the mean map of few fixations
_SAMPLE = 64  # number of images whose pixels are read


def describe_gaze(data: Any) -> str:
    """Return a short description of a ``GazeDataset``: sizes, ranges, counts, center bias, and unusable images.

    The center bias is the correlation of the blurred mean map with the center baseline, and the mean distance from the
    center in fractions of width and height, which is .383 for uniform gaze. All images have the same weight in the mean
    map.
    """
    unusable = {}
    counts, subjects, ranges = [], set(), []
    total = np.zeros(_GRID)
    for name in data.names:
        try:
            count, share = _collect_gaze(data, name, subjects, ranges)
        except (ValueError, OSError) as error:
            unusable[name] = str(error).splitlines()[0]
            continue
        if count is not None:
            counts.append(count)
        total += share
    lines = [_describe_sizes(data), _describe_pixels(data)]
    lines += [_describe_fixations(counts, subjects)] if counts else ["fixations     none; NSS and the AUCs need them"]
    if ranges:
        low, high = np.min(ranges, axis=0)[0], np.max(ranges, axis=0)[1]
        least = min(top for _, top in ranges)
        lines.append(
            f"densities     {len(ranges)}, values {low:.3g} to {high:.3g}; each has a maximum of at least {least:.3g}"
        )
    if total.any():
        lines.append(_describe_center_bias(total))
    lines.append(f"unusable      {len(unusable) or 'none'}")
    lines += [f"  {reason}" for reason in list(unusable.values())[:8]]
    return "\n".join([*lines, *([f"  and {len(unusable) - 8} more"] if len(unusable) > 8 else [])])


def _collect_gaze(data, name: str, subjects: set, ranges: list) -> tuple[int | None, np.ndarray]:
    """Return the number of fixations on an image, and its density on a map of ``_GRID`` cells, with sum 1."""
    stimulus, number, share = data.stimulus(name), None, np.zeros(_GRID)
    if stimulus.density is not None:
        values = stimulus.read_with_name(lambda: scale_density(stimulus.density()))
        ranges.append((float(values.min()), float(values.max())))
        share = np.asarray(data.density(name, _GRID), np.float64)
    points = data.fixations(name)
    if points is not None:
        number = len(points)
        observers = data.subjects(name)
        subjects.update(() if observers is None else np.unique(observers).tolist())
        share = np.asarray(data.fixation_map(name, _GRID), np.float64)
    return number, share / share.sum()


def _describe_sizes(data) -> str:
    sizes = collections.Counter(data.sizes).most_common()
    listed = ", ".join(f"{height} x {width} ({count})" for (height, width), count in sizes[:4])
    more = f" and {len(sizes) - 4} other sizes" if len(sizes) > 4 else ""
    return f"images        {len(data)}, height x width {listed}{more}"


def _describe_pixels(data) -> str:
    chosen = np.unique(np.linspace(0, len(data) - 1, _SAMPLE).astype(int))
    low, high, mean, read = 255, 0, [], 0
    for index in chosen:
        try:
            image = data.image(int(index))
        except (ValueError, OSError):
            continue
        read += 1
        low, high = min(low, int(image.min())), max(high, int(image.max()))
        mean.append(float(image.mean()))
    if not read:
        return f"pixels        none of {len(chosen)} images can be read"
    unreadable = "" if read == len(chosen) else f"; {len(chosen) - read} cannot be read"
    return f"pixels        {low} to {high}, mean {np.mean(mean):.0f} (of {read} images{unreadable})"


def _describe_fixations(counts: list[int], subjects: set) -> str:
    observers = f", {len(subjects)} observers" if subjects else ""
    spread = f"{min(counts)} to {max(counts)} per image (median {np.median(counts):g})"
    return f"fixations     {sum(counts):,}, {spread}{observers}"


def _describe_center_bias(total: np.ndarray) -> str:
    mean = gaussian_blur(total / total.sum(), _BLUR)
    y, x = ((np.arange(size) + 0.5) / size - 0.5 for size in _GRID)
    distance = float((mean * np.hypot(y[:, None], x)).sum())
    if mean.max() == mean.min():
        return "center bias   none: gaze is uniform"
    correlation = float(np.corrcoef(mean.ravel(), center_map(_GRID).ravel())[0, 1])
    return f"center bias   center Gaussian r = {correlation:.2f}; mean distance {distance:.3f} (uniform .383)"
