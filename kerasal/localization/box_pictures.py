"""Figures of localizations as in figure 3 of Simonyan et al. 2013: image, map, seeds in blue and cyan, mask, box."""

from collections.abc import Sequence

import cv2
import numpy as np

from kerasal import images
from kerasal.labels import format_score
from kerasal.localization.segmentation import Segmentation
from kerasal.names import renamed_arguments

_COLUMNS = ["model input", "map", "seeds", "mask", "box"]
_MAX_LETTERS = 22  # of a class name
_OBJECT, _BACKGROUND, _BOX = (0, 0, 255), (0, 255, 255), (255, 40, 40)


@renamed_arguments(found="localizations")
def draw_localizations(
    photograph: np.ndarray,
    localizations: Sequence,
    names: Sequence[str],
    note: str,
    tile: int = 190,
    colormap: str | None = None,
) -> np.ndarray:
    """Return a figure with one row per ``Localization``: the model's input, its map, the seeds, the mask and the box.

    The seeds are blue (object) and cyan (background), as in figure 3 of Simonyan, Vedaldi & Zisserman 2013.

    Args:
        photograph: uint8 RGB (H, W, 3).
        localizations: the result of ``find_objects`` for the photograph.
        names: class names of the rows.
        note: a caption below the figure.
        tile: longer side of each image in the figure, in pixels.
        colormap: name of a sequential colormap of matplotlib for the maps.

    Returns:
        The figure, uint8 RGB.
    """
    ratio = photograph.shape[1] / photograph.shape[0]
    size = (tile, max(1, round(tile * ratio))) if ratio < 1 else (max(1, round(tile / ratio)), tile)
    tiles, rows = [], []
    for result, name in zip(localizations, names, strict=True):
        steps = [
            result.picture,
            images.heatmap(result.map, colormap=colormap),
            draw_seeds(result.picture, result.cut),
            draw_mask(photograph, result.mask),
            draw_box(photograph, result.box, tile),
        ]
        # The model's input was stretched; this restores the aspect ratio of the photograph.
        tiles += [images.resize(step, size) for step in steps]
        short = name if len(name) <= _MAX_LETTERS else f"{name[: _MAX_LETTERS - 1]}…"
        whole = tuple(result.box) == (0, 0, photograph.shape[1], photograph.shape[0])
        rows.append(f"{short}, {format_score(result.score)}" + "; the box is the whole image" * whole)
    return images.grid(
        tiles,
        columns=len(_COLUMNS),
        row_labels=rows,
        column_labels=_COLUMNS,
        title="Localization of the classes",
        note=f"Seeds: blue is taken for the object, cyan for its surroundings; {note}",
        legend=[(colormap or "heat", "map: no evidence for the class", "strongest evidence")],
        tile=tile,
    )


def draw_seeds(picture: np.ndarray, cut: Segmentation) -> np.ndarray:
    """Return the segmented image with the seeds of the object in blue and those of the background in cyan."""
    drawing = picture.copy()
    for part, color in ((cut.background, _BACKGROUND), (cut.foreground, _OBJECT)):
        drawing[part] = (0.25 * drawing[part] + 0.75 * np.asarray(color, np.float32)).astype(np.uint8)
    return drawing


def draw_mask(photograph: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the photograph with everything outside the mask faded, uint8 RGB."""
    faint = 255 - (255 - photograph.astype(np.float32)) * 0.15
    return np.where(mask[..., None], photograph, faint.astype(np.uint8))


def draw_box(photograph: np.ndarray, box: Sequence[int], tile: int = 190) -> np.ndarray:
    """Return the photograph with a box, its line wide enough to be visible at ``tile`` pixels, uint8 RGB."""
    drawing = photograph.copy()
    width = max(1, round(max(photograph.shape[:2]) / tile * 2))
    inset = width // 2
    low, high = (box[0] + inset, box[1] + inset), (box[2] - 1 - inset, box[3] - 1 - inset)
    return cv2.rectangle(drawing, low, high, _BOX, width)
