"""Open and join several gaze data sets, and select training and validation images."""

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.gaze_layouts import gaze_splits, open_gaze
from kerasal.datasets.mirror_images import find_mirror_images

Path = str | os.PathLike
_VALIDATION = ("val", "validation")


def open_gaze_sets(
    paths: Sequence[Path],
    split: str | None = None,
    preferred: Sequence[str] = (),
    *,
    missing: Literal["error", "skip"] = "error",
) -> tuple[GazeDataset, list[str]]:
    """Return the gaze data at several paths as a single set, and notes on the selected splits.

    Args:
        paths: paths as for ``open_gaze``.
        split: split to open, or ``"all"``; by default the first of the ``preferred`` splits that a path has, or all.
        preferred: names of splits.
        missing: "error" or "skip", see ``open_gaze``.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: a path cannot be opened, see ``open_gaze``.
    """
    sets, notes = [], []
    for path in paths:
        part = split
        if part is None:
            splits = gaze_splits(path)
            part = next((name for name in preferred if name in splits), "all")
            notes += [f"{path}: the images of the split {part!r}."] if part != "all" else []
        sets.append(open_gaze(path, None if part == "all" else part, missing=missing))
    first, *others = sets
    return first.concatenate(*others), notes


def open_training_sets(
    paths: Sequence[Path], validation: Path | None = None, split: str | None = None, *, seed: int = 0
) -> tuple[GazeDataset, GazeDataset, list[str]]:
    """Return the training set, the validation set, and notes on the selected splits.

    Args:
        paths: paths of the training data, which are joined.
        validation: path of the validation data; by default the splits val of all ``paths``, or a random tenth of the
            images. In a coursework pickle, an image and its stored mirror image are in the same part.
        split: split to train on, or ``"all"``; by default train, or all without such a split.
        seed: seed for the random tenth.

    Raises:
        OSError, ValueError: a path cannot be opened, see ``open_gaze_sets``.
    """
    train_data, notes = open_gaze_sets(paths, split, ("train",))
    if validation is not None:
        held_out, more_notes = open_gaze_sets([validation], None, (*_VALIDATION, "test"))
        return train_data, held_out, notes + more_notes
    parts = [next((name for name in _VALIDATION if name in gaze_splits(path)), None) for path in paths]
    if all(parts) and split is None:
        first, *others = [open_gaze(path, part) for path, part in zip(paths, parts, strict=True)]
        return train_data, first.concatenate(*others), notes
    train, held_out, with_mirrors = _hold_out(train_data, seed)
    what = "images, each with its stored mirror image" if with_mirrors else "images"
    return train, held_out, [*notes, f"Validation: a random tenth of these {what}, excluded from training."]


def _hold_out(data: GazeDataset, seed: int) -> tuple[GazeDataset, GazeDataset, bool]:
    """Return nine tenths and one tenth of the images, and whether they contain pairs of mirror images.

    A validation image whose mirror image is trained on would not be held out, so pairs are not separated.
    """
    small = [data.stimulus(index).small for index in range(len(data))]
    images = [image for image in small if image is not None]
    if len(images) < len(small) or len({image.shape for image in images}) > 1:  # not a coursework pickle
        return *data.split(0.9, seed), False
    partner = find_mirror_images(images)
    if (partner < 0).all():
        return *data.split(0.9, seed), False
    index = np.arange(len(data))
    group = np.where(partner < 0, index, np.minimum(index, partner))
    groups = np.unique(group)
    held_out = np.random.default_rng(seed).permutation(groups)[round(0.9 * len(groups)) :]
    if not len(held_out):
        raise ValueError(
            f"The training data must have at least 5 images besides their mirror images to hold out a tenth, got "
            f"{len(groups)}. Pass validation data."
        )
    is_held_out = np.isin(group, held_out)
    return data.subset(index[~is_held_out]), data.subset(index[is_held_out]), True
