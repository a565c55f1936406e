"""Open gaze data by where it lies: one function for all layouts in use.

| layout | what is looked for |
|---|---|
| OSIE, crowd, SALICON (compact) | ``fixations.npz`` or ``fixations.mat`` beside ``images/`` (or ``stimuli/``) |
| MSI-Net | ``stimuli/{train,val}``, ``saliency/{train,val}``, ``fixations/{train,val}`` |
| SimpleNet, SALICON | ``images/{train,val}``, ``maps/{train,val}``, ``fixations/{train,val}`` (maps or ``.mat``) |
| a student's own | ``images/``, and ``maps/``, ``fixations/`` or ``fixations.csv`` |
| coursework | ``train.pkl``, ``val.pkl``, or one such file |
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
from kerasal.fixations.fixation_files import list_fixations
from kerasal.fixations.map_files import list_maps, read_map
from kerasal.fixations.matlab_files import list_fixations_and_size
from kerasal.images.image_folders import key_by_stem
from kerasal.names import abbreviate

_IMAGES = ("images", "stimuli", "image", "stimulus")
_DENSITIES = ("maps", "saliency", "densities", "density", "saliency_maps")
_FIXATIONS = ("fixations", "fixation_maps", "fixation", "fixlocs", "fixationlocs")
_TABLES = ("fixations.npz", "fixations.mat", "fixations.csv", "fixations.txt")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_PICKLES = (".pkl", ".pickle")
_SPLITS = ("train", "val", "validation", "test")

# Images of the public sets have their numbers for names: the splits that this project's figures are measured on.
_NUMBERED = {
    "OSIE": (range(1001, 1701), {"train": range(1001, 1501), "test": range(1501, 1701)}),
    "crowd": (range(1, 501), {"train": range(1, 401), "test": range(401, 501)}),
}


def open_gaze(
    path: str | os.PathLike, split: str | None = None, *, missing: str = "error", outside: str = "error"
) -> GazeDataset:
    """Open gaze data of any layout (see above); nothing but pickles is read before it is asked for.

    Args:
        path: a folder, a coursework pickle, or a ``fixations.npz`` or ``.mat`` that lies beside ``images/``.
        split: which part, one of ``gaze_splits(path)``; ``None`` takes all of them together. OSIE's images 1001-1500
            are "train" and 1501-1700 "test", the crowd data's 001-400 and 401-500.
        missing: what is done with an image without gaze, or gaze without an image: "error", or "skip".
        outside: what is done with fixations more than a pixel outside their image: "error", or "drop".

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        ValueError: no such layout or split; images without gaze or gaze without an image (all are named); a damaged
            file.
    """
    path = pathlib.Path(path)
    check_choice("missing", missing, ("error", "skip"))
    splits = gaze_splits(path)
    if split is not None and split not in splits:
        offer = f"has the splits {', '.join(splits)}" if splits else "has no splits; use GazeDataset.split"
        raise ValueError(f"split: {path} {offer}. Received: {split!r}.")
    pickles = _pickles(path)
    if pickles:
        from kerasal.datasets.coursework_files import read_coursework

        wanted = [pickles[split]] if split else list(pickles.values())
        return GazeDataset.of([one for file in wanted for one in read_coursework(file)], outside=outside)
    folder = path.parent if path.is_file() else path
    inner = _inner_splits(folder)
    if inner:
        parts = [split] if split else inner
        return GazeDataset.of([one for part in parts for one in _stimuli(folder, part, missing)], outside=outside)
    stimuli = _stimuli(folder, None, missing)
    numbered = _find_numbered_splits([stimulus.name for stimulus in stimuli])
    if split:
        stimuli = [stimulus for stimulus in stimuli if int(stimulus.name) in numbered[split]]
    return GazeDataset.of(stimuli, outside=outside)


def gaze_splits(path: str | os.PathLike) -> tuple[str, ...]:
    """Return the names of the parts that the data at ``path`` comes in: none, or some of train, val and test.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        ValueError: what is there is no gaze data.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no folder or file {path}.")
    pickles = _pickles(path)
    if pickles:
        return () if path.is_file() else tuple(pickles)
    folder = path.parent if path.is_file() else path
    inner = _inner_splits(folder)
    return tuple(inner) if inner else tuple(_find_numbered_splits(_pictures(_image_folder(folder))))


def _pickles(path: pathlib.Path) -> dict[str, pathlib.Path]:
    if path.is_file():
        return {path.stem: path} if path.suffix.lower() in _PICKLES else {}
    found = {file.stem: file for file in sorted(path.iterdir()) if file.suffix.lower() in _PICKLES}
    return {name: found[name] for name in _SPLITS if name in found}


def _child(folder: pathlib.Path, names: Iterable[str]) -> pathlib.Path | None:
    entries = {entry.name.lower(): entry for entry in folder.iterdir()}
    return next((entries[name] for name in names if name in entries), None)


def _image_folder(folder: pathlib.Path) -> pathlib.Path:
    found = _child(folder, _IMAGES)
    if found is None or not found.is_dir():
        inside = abbreviate(sorted(entry.name for entry in folder.iterdir())) or "nothing"
        raise ValueError(
            f"{folder} is no gaze data that is known: expected a folder {', '.join(_IMAGES[:2])} with "
            f"{', '.join(_TABLES[:3])} or a folder {', '.join((*_DENSITIES[:2], _FIXATIONS[0]))} beside it, or "
            f"train.pkl and val.pkl. It has {inside}."
        )
    return found


def _inner_splits(folder: pathlib.Path) -> list[str]:
    images = _image_folder(folder)
    return [name for name in _SPLITS if (images / name).is_dir()]


def _find_numbered_splits(names: Iterable[str]) -> Mapping[str, range]:
    """Return the splits of the public set whose images these are, if they are one's."""
    names = list(names)
    if not names or not all(name.isdecimal() and len(name) in (3, 4) for name in names):
        return {}
    for everything, splits in _NUMBERED.values():
        digits = 4 if everything.start > 999 else 3
        if all(len(name) == digits and int(name) in everything for name in names):
            return {part: span for part, span in splits.items() if any(int(name) in span for name in names)}
    return {}


def _pictures(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    found: dict[str, pathlib.Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in _PICTURES or file.name.startswith("."):
            continue
        if file.stem in found:
            raise ValueError(f"{folder} has two images of one name: {found[file.stem].name} and {file.name}. Keep one.")
        found[file.stem] = file
    if not found:
        raise ValueError(f"{folder} has no images; expected files that end in {', '.join(_PICTURES)}.")
    return found


def _stimuli(folder: pathlib.Path, split: str | None, missing: str) -> list[Stimulus]:
    images_folder = _image_folder(folder)
    images = _pictures(images_folder / split if split else images_folder)
    fixations, from_all = _find_fixations(folder, split)
    densities = _find_densities(folder, split)
    if fixations is None and densities is None:
        raise ValueError(
            f"{folder} has images but no gaze: expected {', '.join(_TABLES[:3])} or a folder "
            f"{', '.join((*_DENSITIES[:2], _FIXATIONS[0]))}{f' with {split} in it' if split else ''}."
        )
    own = not (from_all and split)  # one table for all splits has other images' rows too
    wrong = _describe_unmatched(images, fixations, "fixations", own) + _describe_unmatched(images, densities, "density")
    if wrong and missing == "error":
        raise ValueError(f'{folder}: {"; ".join(wrong)}. Complete or remove them, or pass missing="skip".')
    names = [n for n in images if (not fixations or n in fixations) and (not densities or n in densities)]
    if not names:
        raise ValueError(f"{folder}: no image has gaze of the same name; {'; '.join(wrong)}.")
    return [
        Stimulus(
            name,
            images[name],
            fixations[name] if fixations else None,
            functools.partial(read_map, densities[name]) if densities else None,
        )
        for name in names
    ]


def _describe_unmatched(images: Mapping, gaze: Mapping | None, what: str, own: bool = True) -> list[str]:
    if gaze is None:
        return []
    without = [name for name in images if name not in gaze]
    spare = [name for name in gaze if name not in images] if own else []
    lines = [f"images without {what}: {abbreviate(without)}"] if without else []
    return lines + ([f"{what} without an image: {abbreviate(spare)}"] if spare else [])


def _find_fixations(folder: pathlib.Path, split: str | None) -> tuple[dict[str, Callable] | None, bool]:
    """Return name -> reader of ``Points``, and whether they are those of all splits."""
    table = _child(folder, _TABLES)
    if table is not None and table.suffix == ".npz":
        return key_by_stem(read_npz(table), table, split), True
    found = _child(folder, _FIXATIONS) if table is None else table
    found = _part(found, split)
    if found is None:
        return None, False
    readers, frame = list_fixations_and_size(found, split) if found.suffix == ".mat" else (list_fixations(found, split), None)
    return {name: functools.partial(_points, read, frame) for name, read in readers.items()}, found.is_file()


def _part(found: pathlib.Path | None, split: str | None) -> pathlib.Path | None:
    """Return the folder of a split in a folder; a file, which holds all splits, as it is."""
    if found is None or not split or not found.is_dir():
        return found
    return found / split if (found / split).is_dir() else None


def _points(read: Callable, frame: tuple[int, int] | None) -> Points:
    points = Points.of(np.asarray(read()))
    return dataclasses.replace(points, frame=frame) if frame else points


def _find_densities(folder: pathlib.Path, split: str | None) -> dict[str, pathlib.Path] | None:
    found = _part(_child(folder, _DENSITIES), split)
    return None if found is None or not found.is_dir() else list_maps(found)
