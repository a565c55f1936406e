"""The scores of a map and its controls at the fixations on an image, for ``alignment``."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.attribution.alignment_maps import place_map
from kerasal.datasets.gaze_dataset import SIGMA, GazeDataset
from kerasal.datasets.observer_scores import score_observers
from kerasal.metrics._fixations import Fixations, as_fixations
from kerasal.metrics.blur import MeanMap, center_map, gaussian_blur
from kerasal.metrics.distributions import cc
from kerasal.metrics.pointwise import nss
from kerasal.metrics.roc_areas import auc_judd
from kerasal.models.image_model import ImageModel
from kerasal.names import abbreviate

METRICS = ("nss", "auc_judd", "cc")
TIMES_CENTER = " × center"
_OBSERVERS: tuple[tuple[str, Literal["one", "others"]], ...] = (
    ("one observer", "one"),
    ("other observers", "others"),
)
UNBLURRED = float("nan")
"""The width of rows that are not blurred; always this object, so that it is found as a key."""
Box = tuple[int, int, int, int]
Scores = dict[tuple[str, float], tuple[float, ...]]
"""Scores of an image by row and width of the blur, in the order of ``METRICS``; NaN is the width of fixed maps."""


class Truth(NamedTuple):
    """Where people looked in the part of an image that the model receives, and the maps that ignore the image.

    Attributes:
        box: the part, (x_min, y_min, x_max, y_max) in pixels of the image.
        width: width of the whole image in pixels, the unit of the blurs.
        fixations, density: the fixations in the part, and their density (h, w).
        center, mean: the center and the mean map of the other images in the part, (h, w).
        points, subjects: coordinates (n, 2) of the fixations in the part, and their observers or None.
    """

    box: Box
    width: int
    fixations: Fixations
    density: np.ndarray
    center: np.ndarray
    mean: np.ndarray
    points: np.ndarray
    subjects: np.ndarray | None


def read_fixations(data: GazeDataset) -> list[Fixations]:
    """Return the fixations of all images; raise an error for fewer than two images, or images without fixations."""
    if not isinstance(data, GazeDataset):
        raise ValueError(f"data must be a GazeDataset, got {type(data).__name__}. Open it: kerasal.datasets.open_gaze.")
    if len(data) < 2:
        raise ValueError(
            f"data must have at least 2 images, whose maps are compared with those of others, got {len(data)}."
        )
    missing = []
    for name in data.names:
        points = data.fixations(name)
        if points is None or not len(points):
            missing.append(name)
    if missing:
        raise ValueError(
            f"data must have fixations on every image, got none, or only a density, for {abbreviate(missing)}. "
            "Leave these images out: data.subset([…])."
        )
    return [as_fixations(data.fixation_map(name), None, "fixations", name) for name in data.names]


def read_truth(model: ImageModel, data: GazeDataset, number: int, fixated: Fixations, mean: MeanMap) -> Truth:
    """Return the truth in the part of an image that the model receives."""
    name, shape = data.names[number], fixated.shape
    box = images.crop_box(shape, model.input_size(np.empty((*shape, 0))), model.fit)
    left, top, right, bottom = box
    part = slice(top, bottom), slice(left, right)
    counts = np.asarray(data.fixation_map(name))[part]
    if not counts.any():
        raise ValueError(
            f"Image {name!r} must have fixations in the part that the model receives, {box}, got none. "
            'Pass fit="stretch".'
        )
    points, subjects = np.asarray(data.fixations(name)), data.subjects(name)
    inside = ((points >= (left, top)) & (points < (right, bottom))).all(axis=1)
    density = np.asarray(data.density(name))[part]
    return Truth(
        box,
        shape[1],
        as_fixations(counts, None, "fixations", name),
        density,
        center_map(shape)[part],
        mean.mean_of_others(fixated)[part],
        points[inside] - (left, top),
        None if subjects is None else subjects[inside],
    )


def score_image(maps: Mapping[str, np.ndarray], truth: Truth, blurs: Sequence[float]) -> Scores:
    """Return the scores of maps (h, w) of any size for each width of blur, also multiplied by the center."""
    scores: Scores = {}
    for row, values in maps.items():
        placed = place_map(values, truth.box)
        for blur in blurs:
            blurred = gaussian_blur(placed, blur * truth.width) if blur else placed
            scores[row, blur] = score_map(blurred, truth)
            scores[row + TIMES_CENTER, blur] = score_map(blurred * truth.center, truth)
    return scores


def score_map(values: np.ndarray, truth: Truth) -> tuple[float, ...]:
    """Return the scores of a map in the order of ``METRICS``; a constant map has CC 0, no correlation."""
    if np.ptp(values) == 0:
        return 0.0, 0.5, 0.0
    return nss(values, truth.fixations), auc_judd(values, truth.fixations, jitter=True), cc(values, truth.density)


def score_fixed(truth: Truth, observers: bool) -> Scores:
    """Return the scores of what does not depend on a model: the center, the mean map and the observers."""
    scores: Scores = {
        ("center", UNBLURRED): score_map(truth.center, truth),
        ("mean map", UNBLURRED): score_map(truth.mean, truth),
    }
    shape, sigma = truth.density.shape, SIGMA * truth.width
    for row, split in _OBSERVERS if observers else ():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            people = score_observers(truth.points, truth.subjects, shape, split, sigma=sigma, jitter=True)
        if people is not None:
            cc_of_many = people["cc"] if split == "one" else UNBLURRED  # the density of one observer is no truth
            scores[row, UNBLURRED] = people["nss"], people["auc_judd"], cc_of_many
    return scores


def choose_blurs(scores: Mapping[str, Scores], seed: int) -> pd.DataFrame:
    """Return the scores of each image at the width whose mean NSS is the highest on the half without that image.

    The result has the columns image, row, blur and ``METRICS``; the halves are random. Images without a row are left
    out of it.
    """
    names = list(scores)
    order = np.random.default_rng(seed).permutation(len(names))
    first, second = ([names[number] for number in sorted(part)] for part in np.array_split(order, 2))
    widths: dict[str, list[float]] = {}
    for row, blur in dict.fromkeys(key for of_image in scores.values() for key in of_image):
        widths.setdefault(row, []).append(blur)
    chosen = []
    for row, blurs in widths.items():
        best = {}
        for own, other in ((first, second), (second, first)):
            blur = blurs[0]
            if len(blurs) > 1:
                blur = max(blurs, key=lambda blur: np.mean([scores[name][row, blur][0] for name in other]))
            best |= dict.fromkeys(own, blur)
        chosen += [
            (name, row, best[name], *scores[name][row, best[name]])
            for name in names
            if (row, best[name]) in scores[name]
        ]
    return pd.DataFrame(chosen, columns=["image", "row", "blur", *METRICS])
