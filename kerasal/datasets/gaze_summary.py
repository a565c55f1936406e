"""What a gaze data set holds, in a few lines: looked at before training, they explain most of what goes wrong in it."""

import collections
from typing import Any

import numpy as np

from kerasal.datasets.gaze_types import density_of
from kerasal.metrics.blur import center_map, gaussian_blur

_GRID = (48, 64)
_BLUR = 2.0  # cells, so that few fixations show their spread and not their scatter
_LOOKED_AT = 64  # images whose pixels are read


def describe_gaze(data: Any) -> str:
    """Describe a ``GazeDataset``: sizes, pixel range, fixations, density range, center bias, and unusable images.

    The center bias is that of the blurred mean map, in which every image weighs the same: its correlation with a
    Gaussian of a quarter of the sides, and the mean distance from the center in fractions of width and height (.383
    were gaze spread evenly).
    """
    bad = {}
    counts, subjects, ranges = [], set(), []
    total = np.zeros(_GRID)
    for name in data.names:
        try:
            here, share = _gaze(data, name, subjects, ranges)
        except (ValueError, OSError) as error:
            bad[name] = str(error).splitlines()[0]
            continue
        if here is not None:
            counts.append(here)
        total += share
    lines = [_sizes(data), _pixels(data)]
    lines += [_fixations(counts, subjects)] if counts else ["fixations     none; NSS and the AUCs need them"]
    if ranges:
        low, high = np.min(ranges, axis=0)[0], np.max(ranges, axis=0)[1]
        least = min(top for _, top in ranges)
        lines.append(f"densities     {len(ranges)}, values {low:.3g} to {high:.3g}; the faintest reaches {least:.3g}")
    if total.any():
        lines.append(_center(total))
    lines.append(f"unusable      {len(bad) or 'none'}")
    lines += [f"  {reason}" for reason in list(bad.values())[:8]]
    return "\n".join([*lines, *([f"  and {len(bad) - 8} more"] if len(bad) > 8 else [])])


def _gaze(data, name: str, subjects: set, ranges: list) -> tuple[int | None, np.ndarray]:
    """Return an image's number of fixations, and its share of the mean map."""
    stimulus, number, share = data.stimulus(name), None, np.zeros(_GRID)
    if stimulus.density is not None:
        values = data._read_named(stimulus, lambda: density_of(stimulus.density()))
        ranges.append((float(values.min()), float(values.max())))
        share = np.asarray(data.density(name, _GRID), np.float64)
    points = data.fixations(name)
    if points is not None:
        number = len(points)
        mine = data.subjects(name)
        subjects.update(() if mine is None else np.unique(mine).tolist())
        share = np.asarray(data.fixation_map(name, _GRID), np.float64)
    return number, share / share.sum()


def _sizes(data) -> str:
    found = collections.Counter(data.sizes).most_common()
    listed = ", ".join(f"{height} x {width} ({count})" for (height, width), count in found[:4])
    more = f" and {len(found) - 4} other sizes" if len(found) > 4 else ""
    return f"images        {len(data)}, height x width {listed}{more}"


def _pixels(data) -> str:
    chosen = np.unique(np.linspace(0, len(data) - 1, _LOOKED_AT).astype(int))
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
    whole = "" if read == len(chosen) else f"; {len(chosen) - read} cannot be read"
    return f"pixels        {low} to {high}, mean {np.mean(mean):.0f} (of {read} images{whole})"


def _fixations(counts: list[int], subjects: set) -> str:
    people = f", {len(subjects)} observers" if subjects else ""
    spread = f"{min(counts)} to {max(counts)} an image (median {np.median(counts):g})"
    return f"fixations     {sum(counts):,}, {spread}{people}"


def _center(total: np.ndarray) -> str:
    mean = gaussian_blur(total / total.sum(), _BLUR)
    y, x = ((np.arange(size) + 0.5) / size - 0.5 for size in _GRID)
    distance = float((mean * np.hypot(y[:, None], x)).sum())
    if mean.max() == mean.min():
        return "center bias   none: gaze is spread evenly"
    likeness = float(np.corrcoef(mean.ravel(), center_map(_GRID).ravel())[0, 1])
    return f"center bias   mean map like a center Gaussian r = {likeness:.2f}; mean distance {distance:.3f} (even .383)"
