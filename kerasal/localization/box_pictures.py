"""Pictures of localizations, after figure 3 of Simonyan et al. 2013: image, map, seeds in blue and cyan, mask, box."""

from collections.abc import Sequence

import cv2
import numpy as np

from kerasal import images
from kerasal.localization.segmentation import Segmentation

_LONGEST = 22  # letters of a class
_OBJECT, _BACKGROUND, _BOX = (0, 0, 255), (0, 255, 255), (255, 40, 40)


def draw_localizations(
    photograph: np.ndarray, found: Sequence, names: Sequence[str], note: str, tile: int = 190
) -> np.ndarray:
    """Lay out a row for each ``Localization``: what the net sees, its map, the seeds, the mask, and the box.

    After figure 3 of Simonyan, Vedaldi & Zisserman 2013, seeds in blue (object) and cyan (background) as there.

    Args:
        photograph: uint8 RGB (H, W, 3).
        found: what ``find_objects`` returned for it.
        names: of the classes, one per row.
        note: a faint line below.
        tile: width of a picture, or height of an upright one.

    Returns:
        uint8 RGB.
    """
    ratio = photograph.shape[1] / photograph.shape[0]
    size = (tile, max(1, round(tile * ratio))) if ratio < 1 else (max(1, round(tile / ratio)), tile)
    tiles, labels, rows = [], [], []
    for one, name in zip(found, names, strict=True):
        steps = {
            "at the net's size": one.picture,
            "map": images.heatmap(one.map),
            "seeds: object blue, background cyan": draw_seeds(one.picture, one.cut),
            "mask": draw_mask(photograph, one.mask),
            f"box {', '.join(map(str, one.box))}": draw_box(photograph, one.box, tile),
        }
        # What the net saw stretched has the photograph's proportions again.
        tiles += [images.resize(step, size) for step in steps.values()]
        labels += steps
        rows.append(f"{name if len(name) <= _LONGEST else name[: _LONGEST - 1] + '…'} {one.score:.2g}")
    title = "Where the classes are"
    return images.grid(tiles, labels, columns=5, row_labels=rows, title=title, note=note, tile=tile)


def draw_seeds(picture: np.ndarray, cut: Segmentation) -> np.ndarray:
    """Paint a ``Segmentation``'s seeds on the picture that was cut: the object's blue, the background's cyan."""
    shown = picture.copy()
    for part, color in ((cut.background, _BACKGROUND), (cut.foreground, _OBJECT)):
        shown[part] = (0.25 * shown[part] + 0.75 * np.asarray(color, np.float32)).astype(np.uint8)
    return shown


def draw_mask(photograph: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Leave of the photograph what is in the mask; the rest turns faint."""
    faint = 255 - (255 - photograph.astype(np.float32)) * 0.15
    return np.where(mask[..., None], photograph, faint.astype(np.uint8))


def draw_box(photograph: np.ndarray, box: Sequence[int], tile: int = 190) -> np.ndarray:
    """Draw a box on a photograph, as wide a line as shows at ``tile`` pixels."""
    shown = photograph.copy()
    width = max(1, round(max(photograph.shape[:2]) / tile * 2))
    inset = width // 2
    low, high = (box[0] + inset, box[1] + inset), (box[2] - 1 - inset, box[3] - 1 - inset)
    return cv2.rectangle(shown, low, high, _BOX, width)
