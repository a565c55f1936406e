"""Several gaze data sets at once: their parts chosen, joined, and divided into what is trained and validated on."""

import os
from collections.abc import Sequence
from typing import Literal

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.gaze_layouts import gaze_splits, open_gaze

Path = str | os.PathLike
_VALIDATION = ("val", "validation")


def open_gaze_sets(
    paths: Sequence[Path],
    split: str | None = None,
    preferred: Sequence[str] = (),
    *,
    missing: Literal["error", "skip"] = "error",
) -> tuple[GazeDataset, list[str]]:
    """Return the gaze data at several paths as one set, and notes on which parts were chosen.

    Args:
        paths: see ``open_gaze``.
        split: the part, or ``"all"``; by default the first of the ``preferred`` parts that a path has, or all.
        preferred: names of parts.
        missing: see ``open_gaze``.

    Raises:
        FileNotFoundError: there is nothing at a path.
        ValueError: see ``open_gaze``.
    """
    sets, notes = [], []
    for path in paths:
        part = split
        if part is None:
            splits = gaze_splits(path)
            part = next((name for name in preferred if name in splits), "all")
            notes += [f"{path}: the images of its split {part!r}."] if part != "all" else []
        sets.append(open_gaze(path, None if part == "all" else part, missing=missing))
    first, *others = sets
    return first.joined(*others), notes


def open_training_sets(
    paths: Sequence[Path], validation: Path | None = None, split: str | None = None, *, seed: int = 0
) -> tuple[GazeDataset, GazeDataset, list[str]]:
    """Return the gaze data to train on, those to validate on, and notes on how they were chosen.

    Args:
        paths: of the data to train on, together.
        validation: of the data to validate on; by default the parts val of all ``paths``, or a random tenth of the
            images.
        split: the part to train on, or ``"all"``; by default train, else all.
        seed: of the random tenth.

    Raises:
        OSError, ValueError: see ``open_gaze_sets``.
    """
    together, notes = open_gaze_sets(paths, split, ("train",))
    if validation is not None:
        held_out, more = open_gaze_sets([validation], None, (*_VALIDATION, "test"))
        return together, held_out, notes + more
    parts = [next((name for name in _VALIDATION if name in gaze_splits(path)), None) for path in paths]
    if all(parts) and split is None:
        first, *others = [open_gaze(path, part) for path, part in zip(paths, parts, strict=True)]
        return together, first.joined(*others), notes
    train, held_out = together.split(0.9, seed)
    return train, held_out, [*notes, "Validation: a random tenth of these images, which is not trained on."]
