"""Gaze maps of many photographs as files: a 16-bit map and an overlay for each, under names of their own."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasal import images
from kerasal.files import replacing
from kerasal.gaze.gaze_pictures import overlay
from kerasal.gaze.gaze_prediction import predict
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.progress import progress_bar

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_RESULTS = (".png", "-overlay.jpg")


@dataclasses.dataclass(frozen=True)
class FolderPrediction:
    """What ``predict_folder`` did: how many maps it wrote and how, what was skipped and why, and notes."""

    count: int
    postprocess: Postprocess
    skipped: list[str]
    notes: list[str]


def predict_folder(
    photos: Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
    predictor: Predictor,
    *,
    postprocess: Postprocess | None = None,
    progress: bool = False,
) -> FolderPrediction:
    """Write for each photo a 16-bit map, NAME.png, and the map over it, NAME-overlay.jpg; skip what cannot be read.

    Args:
        photos: files, and folders of them.
        output_dir: the folder for the maps.
        predictor: the model at work.
        postprocess: see ``predict``. A map of ``"examiners"`` is written as it is, from 0 to 1, others from their
            lowest to their highest value.
        progress: show a bar.

    Raises:
        ValueError: no photo, two whose results would have one name, or none that can be read.
        FileNotFoundError: there is nothing at a path.
    """
    files = name_photos(photos)
    chosen = predictor.postprocess if postprocess is None else postprocess
    skipped, notes = [], []
    with progress_bar("Predicting", len(files), progress) as advance:
        for name, file in files.items():
            try:
                photo = images.read(file)
            except (ValueError, OSError) as error:
                skipped.append(str(error))
                advance(1)
                continue
            if (frames := images.frames(file)) > 1:
                notes.append(f"{file} holds {frames} pictures; this is the first.")
            values = predict(photo, predictor, postprocess=chosen).map
            written, over = result_files(output_dir, name)
            low, high = (0.0, 1.0) if chosen == "examiners" else (float(values.min()), float(values.max()))
            shares = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
            with replacing(written) as temporary:
                Image.fromarray(np.round(65535 * shares).astype(np.uint16)).save(temporary)
            images.write(over, overlay(photo, values))
            advance(1)
    return FolderPrediction(len(files) - len(skipped), chosen, skipped, notes)


def result_files(output_dir: str | os.PathLike, name: str) -> tuple[pathlib.Path, ...]:
    """Return the files that ``predict_folder`` writes for a photo of that name."""
    return tuple(pathlib.Path(output_dir) / f"{name}{suffix}" for suffix in _RESULTS)


def name_photos(photos: Sequence[str | os.PathLike]) -> dict[str, pathlib.Path]:
    """Return name -> file of the photos in files and folders; the names are those of their results.

    That is a file's stem; where others have it too, its suffix and its folder as well.

    Raises:
        FileNotFoundError: there is nothing at a path.
        ValueError: a folder without images, or two files of one name in folders of one name.
    """
    files = []
    for path in map(pathlib.Path, photos):
        if not path.exists():
            raise FileNotFoundError(f"There is no image or folder {path}.")
        inside = sorted(one for one in path.iterdir() if one.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} has no images; expected files that end in {', '.join(_SUFFIXES)}.")
        files += inside
    ways = (
        lambda file: file.stem,
        lambda file: f"{file.stem}-{file.suffix[1:].lower()}",
        lambda file: f"{file.absolute().parent.name}-{file.stem}-{file.suffix[1:].lower()}",
    )
    files, named = list(dict.fromkeys(files)), {}
    for way in ways:
        left = [file for file in files if file not in named]
        names = [way(file) for file in left]
        named |= {
            file: name
            for file, name in zip(left, names, strict=True)
            if names.count(name) == 1 and name not in named.values()
        }
    if unnamed := [file for file in files if file not in named]:
        raise ValueError(f"The results of {unnamed[0]} and {unnamed[-1]} would have one name. Take one at a time.")
    return {name: file for file, name in named.items()}
