"""Load data sets of images, digits and gaze, without preprocessing.

* ``mnist(path=None)`` returns the handwritten digits from a local file or folder, or downloads them.
* ``digits()`` returns twenty MNIST test images, two per class, which are part of the package.
* ``photos()`` returns four photos that are part of the package.
* ``class_images(folder, shape)`` opens folders of photos, one per class, as ``ClassImages`` for training and testing.
* ``known_parts(count, seed)`` renders creatures of which known parts alone decide the class, with masks of all parts;
  ``write_known_parts(folder)`` writes them as class folders for training.
* ``open_gaze(path, split=None)`` opens images with fixations in any common layout as a ``GazeDataset``;
  ``gaze_splits(path)`` returns the names of its splits. ``open_gaze_sets`` and ``open_training_sets`` join several
  sets.
* ``GazeDataset`` holds images with fixations or densities, also from arrays; ``write_coursework`` writes it to the
  pickle format of the Bristol coursework.
* ``FixationMap`` and ``Density`` are the two kinds of map, which the metrics distinguish.

Images are uint8, 0..255. Files in an unknown format are refused, and code in files is never executed.
"""

import importlib
from typing import TYPE_CHECKING

from kerasal.datasets.mnist import digits, mnist

# loaded on first access, because the gaze data sets import OpenCV and pandas
_ORIGIN = {
    "ClassImages": "labeled_images",
    "Density": "gaze_types",
    "FixationMap": "gaze_types",
    "GazeDataset": "gaze_dataset",
    "KnownParts": "known_truth",
    "class_images": "labeled_images",
    "gaze_splits": "gaze_layouts",
    "known_parts": "known_truth",
    "open_gaze": "gaze_layouts",
    "open_gaze_sets": "gaze_sets",
    "open_training_sets": "gaze_sets",
    "photos": "labeled_images",
    "read_coursework": "coursework_files",
    "write_coursework": "coursework_files",
    "write_known_parts": "known_folders",
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
    from kerasal.datasets.known_folders import write_known_parts as write_known_parts
    from kerasal.datasets.known_truth import KnownParts as KnownParts
    from kerasal.datasets.known_truth import known_parts as known_parts
    from kerasal.datasets.labeled_images import ClassImages as ClassImages
    from kerasal.datasets.labeled_images import class_images as class_images
    from kerasal.datasets.labeled_images import photos as photos


def __getattr__(name: str):
    if name in _ORIGIN:
        return getattr(importlib.import_module(f"kerasal.datasets.{_ORIGIN[name]}"), name)
    raise AttributeError(f"module 'kerasal.datasets' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
