"""Draw volumes with a map: three planes through the strongest position, and a strip of slices."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from kerasal.checks import check_int
from kerasal.images.drawings import resize
from kerasal.images.grids import grid
from kerasal.images.lettering import LINE, PAPER, font, type_size
from kerasal.images.scenes import Scene, make_scene

_PLANES = ("sagittal", "coronal", "axial")
_ENDS = ("LR", "PA", "IS")  # the ends of the directions across, along and up the body, from low to high
_CROSS = (120, 230, 140)


def volume(
    voxels: np.ndarray,
    values: np.ndarray | None = None,
    *,
    signed: bool | None = None,
    spacing: Sequence[float] | None = None,
    axes: str | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
    slices: int = 6,
    tile: int = 280,
) -> np.ndarray:
    """Return three planes of a volume through the strongest position of a map, and a strip of slices, uint8 RGB.

    The first row is the volume with lines through the position, the second row the map over the same planes, and the
    strip the map over slices at equal distances, all in the same colors. Without a map, the planes go through the
    center. Black and white are the lowest and highest 0.5 % of the voxels.

    Args:
        voxels: the volume, (D, H, W) or (D, H, W, C). Three channels are drawn as red, green and blue; of another
            number, the first is drawn.
        values: the map (D, H, W).
        signed: whether negative values of the map are drawn; otherwise they count as zero. By default they are if there
            are any.
        spacing: distance of neighboring voxels along the three axes, for the proportions; by default they are cubes.
        axes: the directions of the body in which the three axes increase, such as "RAS" (right, anterior, superior).
            Planes are then upright with these letters at their ends. By default they are drawn as rows and columns.
        strength: opacity of the colors, 0..1.
        colormap: name of a colormap of matplotlib, diverging for a signed map and sequential for others.
        slices: number of slices in the strip; 0 for none. They follow axis 0, or with ``axes`` go from bottom to top.
        tile: longer side of the volume in pixels.

    Raises:
        ValueError: not a volume, a map of another shape, NaN or infinite values, or an invalid option.
    """
    tile, slices = check_int("tile", tile, 16), check_int("slices", slices, 0)
    scene = make_scene(voxels, values, signed=signed, strength=strength, colormap=colormap)
    order, flipped = _directions(axes)
    sides = np.ones(3) if spacing is None else _check_spacing(spacing)
    scene = _turn(scene, order, flipped)
    lengths = scene.pixels.shape[:3]
    sides = sides[list(order)] * lengths
    rows = [False] if scene.scaled is None else [False, True]

    def name(axis: int, number: int) -> str:
        return f"axis {order[axis]} at {lengths[axis] - 1 - number if axis in flipped else number}"

    def draw(axis: int, number: int, over: bool, longest: int, cross: tuple[int, ...] | None = None) -> np.ndarray:
        across = [other for other in range(3) if other != axis]
        size = [max(1, round(float(sides[other] * longest / sides.max()))) for other in across]
        picture = _enlarge(scene.plane(axis, number, over), size)
        if cross is not None:
            _draw_cross(picture, [(cross[other] + 0.5) / lengths[other] for other in across])
        return _frame(_letter(picture.swapaxes(0, 1)[::-1], across) if axes else picture)

    at = scene.strongest
    planes = [_pad(draw(axis, at[axis], over, tile, None if over else at), tile) for over in rows for axis in range(3)]
    labels = [f"{f'{_PLANES[axis]}, ' if axes else ''}{name(axis, at[axis])} of {lengths[axis]}" for axis in range(3)]
    sheet = grid(planes, columns=3, column_labels=labels, tile=tile)
    if not slices:
        return sheet
    axis = 2 if axes else 0
    numbers = _spread(scene.pixels, axis, slices)
    small = (sheet.shape[1] - 28 + 8) // len(numbers) - 8
    strip = [_pad(draw(axis, number, rows[-1], min(small, tile)), min(small, tile)) for number in numbers]
    below = grid(strip, [name(axis, number) for number in numbers], columns=len(numbers), tile=min(small, tile))
    return np.concatenate([_pad(part, max(sheet.shape[1], below.shape[1])) for part in (sheet, below)])


def _directions(axes: str | None) -> tuple[tuple[int, ...], set[int]]:
    """Return which axis runs across, along and up the body, and which of these three must be flipped."""
    if axes is None:
        return (0, 1, 2), set()
    letters = [next((i for i, ends in enumerate(_ENDS) if letter in ends), -1) for letter in axes]
    if sorted(letters) != [0, 1, 2]:
        raise ValueError(
            f"axes must be three letters, one of L and R, one of A and P and one of S and I, such as 'RAS', got "
            f"{axes!r}."
        )
    order = tuple(letters.index(direction) for direction in range(3))
    return order, {direction for direction in range(3) if axes[order[direction]] == _ENDS[direction][0]}


def _turn(scene: Scene, order: tuple[int, ...], flipped: set[int]) -> Scene:
    """Return a scene with its axes in another order, some of them reversed."""
    pixels = np.flip(scene.pixels.transpose(*order, 3), tuple(flipped))
    scaled = None if scene.scaled is None else np.flip(scene.scaled.transpose(order), tuple(flipped))
    at = [scene.strongest[axis] for axis in order]
    at = tuple(pixels.shape[axis] - 1 - i if axis in flipped else i for axis, i in enumerate(at))
    return dataclasses.replace(scene, pixels=pixels, scaled=scaled, strongest=at)


def _check_spacing(spacing: Sequence[float]) -> np.ndarray:
    steps = np.asarray(spacing, np.float64)
    if steps.shape != (3,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"spacing must be three positive numbers, one per axis, got {spacing!r}.")
    return steps


def _spread(pixels: np.ndarray, axis: int, count: int) -> np.ndarray:
    """Return the numbers of slices at equal distances, between the first and the last that are not of one color."""
    others = tuple(other for other in range(3) if other != axis)
    contrast = pixels[..., 0].max(axis=others).astype(int) - pixels[..., 0].min(axis=others)
    (filled,) = np.nonzero(contrast > contrast.max() // 4)
    first, last = (filled[0], filled[-1]) if len(filled) else (0, pixels.shape[axis] - 1)
    return np.unique(np.round(first + (np.arange(count) + 0.5) / count * (last - first)).astype(int))


def _frame(picture: np.ndarray) -> np.ndarray:
    """Draw a thin line around a plane, whose edge may be as white as the page."""
    framed = np.array(picture)
    framed[[0, -1]] = framed[:, [0, -1]] = LINE
    return framed


def _enlarge(picture: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return a plane at (height, width); enlarging at least twofold keeps voxels visible as squares."""
    if min(size[0] / picture.shape[0], size[1] / picture.shape[1]) >= 2:
        return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    return resize(picture, (size[0], size[1]))


def _draw_cross(picture: np.ndarray, at: Sequence[float]) -> None:
    """Draw lines through a position, given as fractions of height and width, that leave the position itself free."""
    height, width = picture.shape[:2]
    y, x = min(height - 1, int(at[0] * height)), min(width - 1, int(at[1] * width))
    free = max(4, max(height, width) // 24)
    for part in (slice(0, max(0, y - free)), slice(y + free, height)):
        picture[part, x] = _CROSS
    for part in (slice(0, max(0, x - free)), slice(x + free, width)):
        picture[y, part] = _CROSS


def _letter(picture: np.ndarray, across: Sequence[int]) -> np.ndarray:
    """Write the letters of the directions at the ends of an upright plane: left, right, bottom and top."""
    page = Image.fromarray(np.ascontiguousarray(picture))
    draw, face = ImageDraw.Draw(page), font(type_size(page.width))
    (left, right), (bottom, top) = _ENDS[across[0]], _ENDS[across[1]]
    middle = page.width / 2, page.height / 2
    places = {"lm": (left, 3, middle[1]), "rm": (right, page.width - 3, middle[1])}
    places |= {"mb": (bottom, middle[0], page.height - 2), "mt": (top, middle[0], 2)}
    if min(page.size) >= 6 * face.size:
        for anchor, (letter, x, y) in places.items():
            draw.text((x, y), letter, fill=_CROSS, font=face, anchor=anchor)
    return np.array(page)


def _pad(picture: np.ndarray, width: int) -> np.ndarray:
    """Return a picture in the middle of white columns, so that all have one width and one scale."""
    missing = max(0, width - picture.shape[1])
    return np.pad(picture, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), constant_values=PAPER[0])
