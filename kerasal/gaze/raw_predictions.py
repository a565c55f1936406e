"""Write the raw maps of a gaze model as the pickle that the Bristol coursework's evaluation script reads."""

import os
import pathlib
import pickle

import numpy as np

from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.files import atomic_write
from kerasal.gaze.predictor import Predictor
from kerasal.progress import progress_bar

_PROTOCOL = 3  # the one of ``datasets.write_coursework``


def write_predictions(
    predictor: Predictor, data: GazeDataset, path: str | os.PathLike, *, progress: bool = False
) -> pathlib.Path:
    """Write ``preds.pkl``: a list of flattened raw maps, float32 (2304,) for maps of 48 × 48, in the order of the data.

    The values are the output of the model in the range 0..1 of the densities, neither clipped nor blurred; the script
    converts them to 8 bits itself. Source: the report GN17738, section VI, and the README of saiffanwar/ADL.

    Args:
        predictor: a gaze model with square maps, of which the script takes only those of 48 × 48.
        data: the images, such as ``open_gaze("val.pkl")``, whose X is used if it has the size of the model's input.
        path: path of the file. An existing file is replaced only after the new file is complete.
        progress: whether to show a progress bar.

    Returns:
        ``path``.

    Raises:
        ValueError: the maps are not square, or an image cannot be read (the script pairs maps and images by their
            order, so none may be missing). No file is written.
        OSError: the file cannot be written.
    """
    height, width = predictor.map_size or (0, 0)
    if height != width or not height:
        size = f"{height} × {width}" if height else "maps whose size depends on the photo"
        raise ValueError(f"predictor must have square maps for the coursework's script, got {size}.")
    maps = []
    with progress_bar("Predicting", len(data), progress) as advance:
        for raw in predictor.raw(data.stimulus(name).model_pixels(predictor.size) for name in data.names):
            maps.append(np.asarray(raw, np.float32).reshape(-1))
            advance(1)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        pickle.dump(maps, file, _PROTOCOL)
    return pathlib.Path(path)
