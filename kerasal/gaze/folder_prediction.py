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

_RESULTS = (".png", "-overlay.jpg")


@dataclasses.dataclass(frozen=True)
class FolderPrediction:
    """The result of ``predict_folder``.

    Attributes:
        count: number of maps written.
        postprocess: method by which maps were resized to the photos; see ``kerasal.gaze.resize_map``.
        skipped: the errors of unreadable files.
        notes: sentences about files with several frames.
        files: the paths of each ``image``, its ``map`` and its ``overlay``.
    """

    count: int
    postprocess: Postprocess
    skipped: list[str]
    notes: list[str]
    files: list[dict[str, pathlib.Path]] = dataclasses.field(default_factory=list)


def predict_folder(
    photos: Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
    predictor: Predictor,
    *,
    postprocess: Postprocess | None = None,
    legend: bool = True,
    progress: bool = False,
    strength: float = 0.6,
    colormap: str | None = None,
    dpi: int | None = None,
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
        strength: opacity of the colors of the overlays, 0..1.
        colormap: name of a sequential colormap of matplotlib for the overlays.
        dpi: dots per inch that are stored in the overlays, for printing.

    Returns:
        ``FolderPrediction``; its ``count`` is 0 if every file was skipped.

    Raises:
        ValueError: a folder has no images, or the results of two photos would have the same name.
        FileNotFoundError: a path does not exist.
    """
    files = images.name_files(photos)
    chosen = predictor.postprocess if postprocess is None else postprocess
    skipped, notes, written = [], [], []
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
            drawn = overlay(photo, values, legend=legend, strength=strength, colormap=colormap)
            images.write(overlay_file, drawn, dpi=dpi)
            written.append({"image": file, "map": map_file, "overlay": overlay_file})
            advance(1)
    return FolderPrediction(len(files) - len(skipped), chosen, skipped, notes, written)


def result_files(output_dir: str | os.PathLike, name: str) -> tuple[pathlib.Path, ...]:
    """Return the paths of the map and the overlay that ``predict_folder`` writes for a name."""
    return tuple(pathlib.Path(output_dir) / f"{name}{suffix}" for suffix in _RESULTS)
