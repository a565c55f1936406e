"""Draw a video with a map as a strip of frames."""

import numpy as np

from kerasal.checks import check_int, check_number
from kerasal.images.grids import grid
from kerasal.images.scenes import make_scene


def video(
    frames: np.ndarray,
    values: np.ndarray | None = None,
    *,
    signed: bool | None = None,
    rate: float | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
    count: int = 6,
    tile: int = 160,
) -> np.ndarray:
    """Return frames of a video in a row, and below them the map over each frame, uint8 RGB (H, W, 3).

    The frames are at equal distances; the nearest of them is replaced with the frame of the strongest value of the map,
    which is labeled. All frames share the colors.

    Args:
        frames: the video, (T, H, W) or (T, H, W, C). Three channels are drawn as red, green and blue; of another
            number, the first is drawn. Black and white are the lowest and highest 0.5 % of the values, or 0 and 255 for
            uint8.
        values: the map (T, H, W); None draws the frames alone.
        signed: whether negative values of the map are drawn; otherwise they count as zero. By default they are if there
            are any.
        rate: frames per second, for labels in seconds; by default frames are counted.
        strength: opacity of the colors, 0..1.
        colormap: name of a colormap of matplotlib, diverging for a signed map and sequential for others.
        count: number of frames.
        tile: longer side of a frame in pixels.

    Raises:
        ValueError: not a video, a map of another shape, NaN or infinite values, or an invalid option.
    """
    rate = None if rate is None else check_number("rate", rate, above=0, none="None")
    scene = make_scene(frames, values, signed=signed, strength=strength, colormap=colormap, is_video=True)
    length = len(scene.pixels)
    numbers = np.unique(np.round(np.linspace(0, length - 1, min(length, check_int("count", count)))).astype(int))
    strongest = scene.strongest[0] if scene.scaled is not None and scene.scaled.any() else None
    if strongest is not None and strongest not in numbers:
        numbers[np.abs(numbers - strongest).argmin()] = strongest
    labels = [f"frame {number}" if rate is None else f"{number / rate:.3g} s" for number in numbers]
    labels = [
        f"{text}, strongest" if number == strongest else text for text, number in zip(labels, numbers, strict=True)
    ]
    rows = [False] if scene.scaled is None else [False, True]
    tiles = [scene.plane(0, number, over) for over in rows for number in numbers]
    return grid(tiles, columns=len(numbers), column_labels=labels, tile=check_int("tile", tile, 16))
