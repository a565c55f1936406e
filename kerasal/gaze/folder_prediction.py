"""Gaze maps of many photos as files: a 16-bit map and an overlay of each, with unique names."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasal import images
from kerasal.files import atomic_write
from kerasal.gaze.gaze_pictures import overlay
from kerasal.gaze.gaze_prediction import predict
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.progress import progress_bar

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_RESULTS = (".png", "-overlay.jpg")


@dataclasses.dataclass(frozen=True)
class FolderPrediction:
    """The result of ``predict_folder``.

    Attributes:
        count: number of maps written.
        postprocess: method by which maps were resized to the photos; see ``kerasal.gaze.resize_map``.
        skipped: the errors of unreadable files.
        notes: sentences about files with several frames.
    """

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
    legend: bool = True,
    progress: bool = False,
) -> FolderPrediction:
    """Write a 16-bit map, NAME.png, and an overlay, NAME-overlay.jpg, of each photo; unreadable files are skipped.

    Args:
        photos: image files, and folders of image files.
        output_dir: the folder for the maps.
        predictor: a gaze model.
        postprocess: see ``predict``. Maps of ``"examiners"`` are written with 0 black and 1 white, others from their
            lowest to their highest value.
        legend: whether a strip below each overlay says what its colors mean; without it, an overlay is as large as its
            photo.
        progress: whether to show a progress bar.

    Returns:
        ``FolderPrediction``; its ``count`` is 0 if every file was skipped.

    Raises:
        ValueError: a folder has no images, or the results of two photos would have the same name.
        FileNotFoundError: a path does not exist.
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
                notes.append(f"{file} contains {frames} frames; the map is that of the first.")
            values = predict(photo, predictor, postprocess=chosen).map
            map_file, overlay_file = result_files(output_dir, name)
            low, high = (0.0, 1.0) if chosen == "examiners" else (float(values.min()), float(values.max()))
            shares = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
            with atomic_write(map_file) as temporary:
                Image.fromarray(np.round(65535 * shares).astype(np.uint16)).save(temporary)
            images.write(overlay_file, overlay(photo, values, legend=legend))
            advance(1)
    return FolderPrediction(len(files) - len(skipped), chosen, skipped, notes)


def result_files(output_dir: str | os.PathLike, name: str) -> tuple[pathlib.Path, ...]:
    """Return the paths of the map and the overlay that ``predict_folder`` writes for a name."""
    return tuple(pathlib.Path(output_dir) / f"{name}{suffix}" for suffix in _RESULTS)


def name_photos(photos: Sequence[str | os.PathLike]) -> dict[str, pathlib.Path]:
    """Return a dictionary from unique name to path of all image files in ``photos``, which are files and folders.

    The name is the stem of the file; if that is not unique, the suffix is added, and then the name of the folder.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: a folder has no images, or two files differ in none of these parts.
    """
    files = []
    for path in map(pathlib.Path, photos):
        if not path.exists():
            raise FileNotFoundError(f"There is no image or folder {path}.")
        entries = sorted(path.iterdir()) if path.is_dir() else []
        inside = [file for file in entries if file.suffix.lower() in _SUFFIXES] if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} must contain image files ({', '.join(_SUFFIXES)}), got none.")
        files += inside
    name_functions = (
        lambda file: file.stem,
        lambda file: f"{file.stem}-{file.suffix[1:].lower()}",
        lambda file: f"{file.absolute().parent.name}-{file.stem}-{file.suffix[1:].lower()}",
    )
    files, named = list(dict.fromkeys(files)), {}
    for make_name in name_functions:
        remaining = [file for file in files if file not in named]
        names = [make_name(file) for file in remaining]
        named |= {
            file: name
            for file, name in zip(remaining, names, strict=True)
            if names.count(name) == 1 and name not in named.values()
        }
    if unnamed := [file for file in files if file not in named]:
        raise ValueError(
            f"Results must have unique names, got the same name for {unnamed[0]} and {unnamed[-1]}. Use a separate "
            "output folder for each of them."
        )
    return {name: file for file, name in named.items()}
