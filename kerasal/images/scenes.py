"""A volume or video as pixels with its map, from which planes and frames are drawn in the same colors."""

import dataclasses

import numpy as np
from scipy import ndimage

from kerasal.checks import check_number, refuse_mask
from kerasal.images.colormaps import choose_colors
from kerasal.images.drawings import paint, scale_map
from kerasal.images.image_check import check_map

_SAMPLED = 200_000  # voxels from which black and white are chosen
_FULL_COLOR = 99.9  # percentile of the magnitude from which colors are saturated: an object fills less of a volume


@dataclasses.dataclass(frozen=True)
class Scene:
    """A volume or video as pixels with its map, from which planes are drawn in colors that are the same for all.

    Attributes:
        pixels: uint8 (D, H, W, 3).
        scaled: the map, softened as in ``images.overlay`` and scaled to -1..1 or 0..1, or None.
        strongest: the position of the largest magnitude of the softened map, or the center.
        colors: 256 colors.
        signed: whether the middle of the colors is 0.
        strength: opacity of the colors.
    """

    pixels: np.ndarray
    scaled: np.ndarray | None
    strongest: tuple[int, ...]
    colors: np.ndarray
    signed: bool
    strength: float

    def plane(self, axis: int, number: int, over: bool) -> np.ndarray:
        """Return a plane across an axis as it is, or with the map over it, uint8 (…, …, 3)."""
        picture = np.ascontiguousarray(self.pixels.take(number, axis))
        if self.scaled is None or not over:
            return picture
        return paint(picture, self.scaled.take(number, axis), self.colors, self.signed, self.strength)


def make_scene(
    voxels: np.ndarray,
    values: np.ndarray | None,
    *,
    signed: bool | None,
    strength: float,
    colormap: str | None,
    is_video: bool = False,
) -> Scene:
    """Return a ``Scene`` of a volume or video, (D, H, W) or (D, H, W, C), and its map (D, H, W) or None.

    The map of a video is softened within the frames only.

    Raises:
        ValueError: not a volume, a map of another shape, NaN or infinite values, or an invalid option.
    """
    strength = check_number("strength", strength, minimum=0, maximum=1)
    name = "The video" if is_video else "The volume"
    pixels = _to_pixels(voxels, name)
    center = tuple(length // 2 for length in pixels.shape[:3])
    if values is None:
        return Scene(pixels, None, center, choose_colors(None, signed=False, usual="overlay"), False, strength)
    heat = check_map(values, "(D, H, W)").astype(np.float32)
    if heat.shape != pixels.shape[:3]:
        raise ValueError(f"The map must be {pixels.shape[:3]}, as {name.lower()}, got {heat.shape}. Pass its own map.")
    signed = bool((heat < 0).any()) if signed is None else signed
    colors = choose_colors(colormap, signed=signed, usual="overlay")
    sides = heat.shape[1:] if is_video else heat.shape
    sigma = [max(sides) / 75 * (number >= 3 - len(sides)) for number in range(3)]
    heat = heat / (np.abs(heat).max() or 1.0)
    parts = [ndimage.gaussian_filter(np.maximum(sign * heat, 0), sigma) for sign in (1, -1)[: 1 + signed]]
    soft = parts[0] - parts[1] if signed else parts[0]
    size = np.abs(soft)
    strongest = np.unravel_index(size.argmax(), size.shape) if size.any() else center
    limit = float(np.percentile(size, _FULL_COLOR) or size.max())
    return Scene(pixels, scale_map(soft, limit), tuple(map(int, strongest)), colors, signed, strength)


def _to_pixels(voxels: np.ndarray, name: str) -> np.ndarray:
    """Return a volume as uint8 (D, H, W, 3); values from the lowest to the highest 0.5 % are black to white."""
    refuse_mask(voxels, name)
    array = np.asarray(voxels)
    if array.ndim not in (3, 4) or not array.size or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be numbers (D, H, W) or (D, H, W, C) with at least one value, got {array.dtype} "
            f"{array.shape}. Pass one at a time."
        )
    array = array[..., None] if array.ndim == 3 else array
    array = array if array.shape[3] == 3 else array[..., :1]
    if array.dtype != np.uint8:
        if not np.isfinite(array).all():
            bad = np.count_nonzero(~np.isfinite(array))
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinite values. Use np.nan_to_num.")
        sample = array.reshape(-1)[:: max(1, array.size // _SAMPLED)].astype(np.float64)
        low, high = np.percentile(sample, (0.5, 99.5))
        low, high = (low, high) if high > low else (float(array.min()), float(array.max()))
        array = np.clip((array - low) * (255 / ((high - low) or 1.0)), 0, 255).astype(np.uint8)
    return np.broadcast_to(array, (*array.shape[:3], 3))
