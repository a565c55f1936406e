"""From what a person has at hand, files and arrays, to the entries of a gaze data set."""

import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from kerasal.datasets.gaze_types import Points, Stimulus
from kerasal.images.image_check import check_image


def stimuli_of(images: Sequence, fixations=None, densities=None, names=None) -> list[Stimulus]:
    """Return one entry an image; see ``GazeDataset``.

    Raises:
        ValueError: lists of unequal length, or an array that is no image.
    """
    _check_lengths(images, fixations=fixations, densities=densities, names=names)
    stimuli = []
    for index, image in enumerate(images):
        path = isinstance(image, str | os.PathLike)
        name = names[index] if names is not None else pathlib.Path(image).stem if path else f"{index:05d}"
        stimuli.append(
            Stimulus(
                str(name),
                pathlib.Path(image) if path else _rgb(image, str(name)),
                _later(None if fixations is None else fixations[index], Points.of),
                _later(None if densities is None else densities[index], np.asarray),
            )
        )
    return stimuli


def _later(value, make: Callable) -> Callable | None:
    if value is None:
        return None
    return (lambda: make(value())) if callable(value) else (lambda: make(value))


def _rgb(image, name: str) -> np.ndarray:
    array = check_image(image, f"Image {name!r}", (3, None))
    return array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)


def _check_lengths(images: Sequence, **given) -> None:
    for argument, values in given.items():
        if values is not None and len(values) != len(images):
            raise ValueError(f"{argument}: expected {len(images)}, one for each image, received {len(values)}.")
