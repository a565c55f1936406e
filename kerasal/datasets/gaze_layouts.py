"""Open gaze data in any of the common folder layouts.

| layout | files |
|---|---|
| OSIE, crowd, SALICON (compact) | ``fixations.npz`` or ``fixations.mat`` beside ``images/`` (or ``stimuli/``) |
| MSI-Net | ``stimuli/{train,val}``, ``saliency/{train,val}``, ``fixations/{train,val}`` |
| SimpleNet, SALICON | ``images/{train,val}``, ``maps/{train,val}``, ``fixations/{train,val}`` (maps or ``.mat``) |
| custom | ``images/``, and ``maps/``, ``fixations/`` or ``fixations.csv`` |
| coursework | ``train.pkl``, ``val.pkl``, or either file |
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from kerasal.checks import check_choice
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.gaze_npz import read_npz
from kerasal.datasets.gaze_types import Points, Stimulus
from kerasal.fixations.fixation_files import list_recordings
from kerasal.fixations.map_files import list_maps, read_map
from kerasal.fixations.matlab_files import list_recordings_and_size
from kerasal.fixations.recordings import Recording
from kerasal.images.image_folders import key_by_stem
from kerasal.names import abbreviate

_IMAGES = ("images", "stimuli", "image", "stimulus")
_DENSITIES = ("maps", "saliency", "densities", "density", "saliency_maps")
_FIXATIONS = ("fixations", "fixation_maps", "fixation", "fixlocs", "fixationlocs")
_TABLES = ("fixations.npz", "fixations.mat", "fixations.csv", "fixations.txt")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_PICKLE_SUFFIXES = (".pkl", ".pickle")
_SPLITS = ("train", "val", "validation", "test")

# Images of the public sets are named by number; these are the splits that this project's figures are measured on.
_NUMBERED = {
    "OSIE": (range(1001, 1701), {"train": range(1001, 1501), "test": range(1501, 1701)}),
    "crowd": (range(1, 501), {"train": range(1, 401), "test": range(401, 501)}),
}


def open_gaze(
    path: str | os.PathLike, split: str | None = None, *, missing: str = "error", outside: str = "error"
) -> GazeDataset:
    """Return the gaze data at a path, in any of the layouts that the module describes, as a ``GazeDataset``.

    Pickles are read by this call; the images and gaze in other files are read on access.

    Args:
        path: a folder, a coursework pickle, or a ``fixations.npz`` or ``.mat`` file beside ``images/``.
        split: one of ``gaze_splits(path)``; ``None`` returns all images. OSIE's images 1001-1500 are "train" and
            1501-1700 "test", those of the crowd data 001-400 and 401-500.
        missing: "error" to refuse images without gaze and gaze without images, or "skip" to leave them out.
        outside: "error" to refuse fixations more than a pixel outside their image, or "drop" to remove them.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        ValueError: the layout or the split is unknown, images and gaze do not match, or a file is damaged.
    """
    path = pathlib.Path(path)
    check_choice("missing", missing, ("error", "skip"))
    splits = gaze_splits(path)
    if split is not None and split not in splits:
        choices = f"one of {', '.join(splits)}" if splits else "None"
        raise ValueError(
            f"split must be {choices} for {path}, got {split!r}. Use GazeDataset.split to split images at random."
        )
    pickles = _list_pickles(path)
    if pickles:
        from kerasal.datasets.coursework_files import read_coursework

        files = [pickles[split]] if split else list(pickles.values())
        stimuli = [stimulus for file in files for stimulus in read_coursework(file)]
        return GazeDataset.from_stimuli(stimuli, outside=outside)
    folder = path.parent if path.is_file() else path
    subfolders = _list_inner_splits(folder)
    if subfolders:
        parts = [split] if split else subfolders
        return GazeDataset.from_stimuli(
            [stimulus for part in parts for stimulus in _load_stimuli(folder, part, missing)], outside=outside
        )
    stimuli = _load_stimuli(folder, None, missing)
    numbered = _find_numbered_splits([stimulus.name for stimulus in stimuli])
    if split:
        stimuli = [stimulus for stimulus in stimuli if int(stimulus.name) in numbered[split]]
    return GazeDataset.from_stimuli(stimuli, outside=outside)


def gaze_splits(path: str | os.PathLike) -> tuple[str, ...]:
    """Return the names of the splits of the data at a path, such as train, val and test; empty if there are none.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        ValueError: ``path`` has no gaze data in a known layout.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no folder or file {path}.")
    pickles = _list_pickles(path)
    if pickles:
        return () if path.is_file() else tuple(pickles)
    folder = path.parent if path.is_file() else path
    subfolders = _list_inner_splits(folder)
    return tuple(subfolders) if subfolders else tuple(_find_numbered_splits(_list_images(_find_image_folder(folder))))


def _list_pickles(path: pathlib.Path) -> dict[str, pathlib.Path]:
    if path.is_file():
        return {path.stem: path} if path.suffix.lower() in _PICKLE_SUFFIXES else {}
    files = {file.stem: file for file in sorted(path.iterdir()) if file.suffix.lower() in _PICKLE_SUFFIXES}
    return {name: files[name] for name in _SPLITS if name in files}


def _find_child(folder: pathlib.Path, names: Iterable[str]) -> pathlib.Path | None:
    entries = {entry.name.lower(): entry for entry in folder.iterdir()}
    return next((entries[name] for name in names if name in entries), None)


def _find_image_folder(folder: pathlib.Path) -> pathlib.Path:
    images = _find_child(folder, _IMAGES)
    if images is None or not images.is_dir():
        entries = abbreviate(sorted(entry.name for entry in folder.iterdir())) or "nothing"
        raise ValueError(
            f"{folder} must have a folder {' or '.join(_IMAGES[:2])} beside {', '.join(_TABLES[:3])} or a folder "
            f"{', '.join((*_DENSITIES[:2], _FIXATIONS[0]))}, or else train.pkl and val.pkl, got {entries}."
        )
    return images


def _list_inner_splits(folder: pathlib.Path) -> list[str]:
    images = _find_image_folder(folder)
    return [name for name in _SPLITS if (images / name).is_dir()]


def _find_numbered_splits(names: Iterable[str]) -> Mapping[str, range]:
    """Return the splits of the public data set that has images of all these names, or an empty dictionary."""
    names = list(names)
    if not names or not all(name.isdecimal() and len(name) in (3, 4) for name in names):
        return {}
    for numbers, splits in _NUMBERED.values():
        digits = 4 if numbers.start > 999 else 3
        if all(len(name) == digits and int(name) in numbers for name in names):
            return {part: span for part, span in splits.items() if any(int(name) in span for name in names)}
    return {}


def _list_images(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    paths: dict[str, pathlib.Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in _IMAGE_SUFFIXES or file.name.startswith("."):
            continue
        if file.stem in paths:
            raise ValueError(
                f"{folder} must have images of different names, got {paths[file.stem].name} and {file.name}. Keep one."
            )
        paths[file.stem] = file
    if not paths:
        raise ValueError(f"{folder} must have images, got none. Supported suffixes are {', '.join(_IMAGE_SUFFIXES)}.")
    return paths


def _load_stimuli(folder: pathlib.Path, split: str | None, missing: str) -> list[Stimulus]:
    images_folder = _find_image_folder(folder)
    images = _list_images(images_folder / split if split else images_folder)
    fixations, from_all = _find_fixations(folder, split)
    densities = _find_densities(folder, split)
    if fixations is None and densities is None:
        raise ValueError(
            f"{folder} must have {', '.join(_TABLES[:3])} or a folder "
            f"{', '.join((*_DENSITIES[:2], _FIXATIONS[0]))}{f' with {split} in it' if split else ''}, got only images."
        )
    is_complete = not (from_all and split)  # a table for all splits also has the images of other splits
    mismatches = _describe_mismatches(images, fixations, "fixations", is_complete) + _describe_mismatches(
        images, densities, "density"
    )
    if mismatches and missing == "error":
        raise ValueError(
            f"Images and gaze in {folder} must match, got {'; '.join(mismatches)}. Complete or remove them, or pass "
            'missing="skip".'
        )
    names = [n for n in images if (not fixations or n in fixations) and (not densities or n in densities)]
    if not names:
        raise ValueError(f"Images and gaze in {folder} must have names in common, got {'; '.join(mismatches)}.")
    return [
        Stimulus(
            name,
            images[name],
            fixations[name] if fixations else None,
            functools.partial(read_map, densities[name]) if densities else None,
        )
        for name in names
    ]


def _describe_mismatches(images: Mapping, gaze: Mapping | None, kind: str, is_complete: bool = True) -> list[str]:
    if gaze is None:
        return []
    without = [name for name in images if name not in gaze]
    extra = [name for name in gaze if name not in images] if is_complete else []
    lines = [f"images without {kind}: {abbreviate(without)}"] if without else []
    return lines + ([f"{kind} without an image: {abbreviate(extra)}"] if extra else [])


def _find_fixations(folder: pathlib.Path, split: str | None) -> tuple[dict[str, Callable] | None, bool]:
    """Return a dictionary from image name to a function that reads its ``Points``, and whether it covers all splits.

    A table or file in ``folder`` covers all splits; a subfolder for ``split`` does not. The dictionary is None if there
    are no fixations.
    """
    table = _find_child(folder, _TABLES)
    if table is not None and table.suffix == ".npz":
        return key_by_stem(read_npz(table), table, split), True
    path = _find_child(folder, _FIXATIONS) if table is None else table
    path = _select_split(path, split)
    if path is None:
        return None, False
    readers, frame = (
        list_recordings_and_size(path, split) if path.suffix == ".mat" else (list_recordings(path, split), None)
    )
    return {name: functools.partial(_read_points, read, frame) for name, read in readers.items()}, path.is_file()


def _select_split(path: pathlib.Path | None, split: str | None) -> pathlib.Path | None:
    """Return the subfolder of a split; a file covers all splits and is returned unchanged."""
    if path is None or not split or not path.is_dir():
        return path
    return path / split if (path / split).is_dir() else None


def _read_points(read: Callable[[], Recording], frame: tuple[int, int] | None) -> Points:
    recording = read()
    points = Points.from_array(np.asarray(recording.points))
    return dataclasses.replace(
        points,
        frame=frame or points.frame,
        subject=recording.subject,
        order=recording.order,
        duration_ms=recording.duration_ms,
    )


def _find_densities(folder: pathlib.Path, split: str | None) -> dict[str, pathlib.Path] | None:
    path = _select_split(_find_child(folder, _DENSITIES), split)
    return None if path is None or not path.is_dir() else list_maps(path)
