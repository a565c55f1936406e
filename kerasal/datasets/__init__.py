"""Data sets as arrays: read, checked, and never preprocessed here.

* ``mnist(path=None)``: the handwritten digits, from a local file or folder, or downloaded where no path is given.
* ``digits()``: twenty of its test images, two of each class, which ship with the package.
* ``class_images(folder, shape)``: folders of photographs, one a class, as ``ClassImages`` to train and to test on.
* ``open_gaze(path, split=None)``: where people looked in images, from any layout in use, as a ``GazeDataset``;
  ``gaze_splits(path)`` names the splits that are there. ``open_gaze_sets`` and ``open_training_sets`` join several.
* ``GazeDataset``: the same from arrays; ``write_coursework`` writes one as the pickles of the Bristol coursework.
* ``FixationMap`` and ``Density``: the two kinds of map, which no metric takes for one another.

Images are uint8, 0..255. Every reader refuses what it does not recognize, and nothing stored is ever executed.
"""

import importlib
from typing import TYPE_CHECKING

from kerasal.datasets.mnist import digits, mnist

# OpenCV and pandas, which the gaze data sets need, load when one is asked for.
_ORIGIN = {
    "ClassImages": "labeled_images",
    "Density": "gaze_types",
    "FixationMap": "gaze_types",
    "GazeDataset": "gaze_dataset",
    "class_images": "labeled_images",
    "gaze_splits": "gaze_layouts",
    "open_gaze": "gaze_layouts",
    "open_gaze_sets": "gaze_sets",
    "open_training_sets": "gaze_sets",
    "read_coursework": "coursework_files",
    "write_coursework": "coursework_files",
}

__all__ = ["digits", "mnist", *_ORIGIN]

if TYPE_CHECKING:
    from kerasal.datasets.coursework_files import read_coursework as read_coursework
    from kerasal.datasets.coursework_files import write_coursework as write_coursework
    from kerasal.datasets.gaze_dataset import GazeDataset as GazeDataset
    from kerasal.datasets.gaze_layouts import gaze_splits as gaze_splits
    from kerasal.datasets.gaze_layouts import open_gaze as open_gaze
    from kerasal.datasets.gaze_sets import open_gaze_sets as open_gaze_sets
    from kerasal.datasets.gaze_sets import open_training_sets as open_training_sets
    from kerasal.datasets.gaze_types import Density as Density
    from kerasal.datasets.gaze_types import FixationMap as FixationMap
    from kerasal.datasets.labeled_images import ClassImages as ClassImages
    from kerasal.datasets.labeled_images import class_images as class_images


def __getattr__(name: str):
    if name in _ORIGIN:
        return getattr(importlib.import_module(f"kerasal.datasets.{_ORIGIN[name]}"), name)
    raise AttributeError(f"module 'kerasal.datasets' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
