"""Pages that show a map: the image, the map, and the map over the image where it is strong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import images
from kerasal.attribution.method import MethodSpec
from kerasal.labels import short

_CLASS_COLORS = [
    ("white", (245, 245, 245)),
    ("red", (200, 50, 50)),
    ("blue", (50, 90, 200)),
    ("yellow", (235, 200, 60)),
    ("green", (60, 160, 80)),
    ("gray", (110, 110, 110)),
]


def draw_map(
    spec: MethodSpec, picture: np.ndarray, values: np.ndarray, *, bgr: bool = False, strength: float = 0.6
) -> tuple[np.ndarray, np.ndarray]:
    """Return a method's map by itself, and over the picture where it is strong, both uint8 RGB.

    Args:
        spec: the method's.
        picture: uint8 RGB (H, W, 3).
        values: the map (h, w), or a gradient with its channels (h, w, C).
        bgr: the channels of a gradient are blue, green, red.
        strength: of the colors over the picture; see ``images.overlay``.
    """
    if values.ndim == 3:
        values = values[..., ::-1] if bgr else values
        drawn = images.relief(values) if values.shape[2] == 3 else images.heatmap(values[..., 0], signed=True)
        magnitude = np.abs(values).max(axis=2)
    else:
        drawn = images.heatmap(values, signed=spec.signed and bool((values < 0).any()))
        magnitude = np.abs(values)
    return drawn, images.overlay(picture, magnitude, strength=strength)


def attribution_page(
    spec: MethodSpec,
    picture: np.ndarray,
    values: np.ndarray,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
    note: str = "",
    bgr: bool = False,
) -> np.ndarray:
    """Lay out the picture, a method's map of it, and the map on the picture, uint8 RGB.

    ``values`` is one map as the method returned it, called with ``options`` (by default its own), and ``name`` what it
    is of, such as a class. ``labels`` name the classes of a map of class numbers, ``note`` is a line below, and the
    rest is as in ``draw_map``.
    """
    values = spec.to_pixels(values, picture.shape[:2], options or {})
    tile = int(np.clip(max(picture.shape[:2]), 224, 448))
    if values.dtype.kind == "i":
        return _class_page(spec, picture, values, labels, tile)
    drawn, over = draw_map(spec, picture, values, bgr=bgr)
    legend = "the brighter, the stronger"
    if values.ndim == 3 and values.shape[2] == 3:
        legend = "gray: no effect; each color up or down"
    elif values.ndim == 3 or (spec.signed and (values < 0).any()):
        legend = "red speaks for it, blue against"
    shown = ["what the model gets", legend, "where it is strong"]
    empty = "" if values.any() else "The map is zero everywhere: nothing in this image moves the score."
    return images.grid(
        [picture, drawn, over], shown, columns=3, title=f"{spec.name}: {name}", note=empty or note, tile=tile
    )


def _class_page(spec: MethodSpec, picture: np.ndarray, classes: np.ndarray, labels, tile: int) -> np.ndarray:
    """Lay out the picture and a map of class numbers, the commonest in colors of their own, named below."""
    numbers, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(numbers), int)
    rank[order] = np.arange(len(numbers))
    shown = np.minimum(rank[np.searchsorted(numbers, classes)], len(_CLASS_COLORS) - 1)
    drawn = np.array([color for _, color in _CLASS_COLORS], np.uint8)[shown]
    names = [short(labels, int(numbers[index])) for index in order[: len(_CLASS_COLORS) - 1]]
    legend = [f"{color}: {name}" for (color, _), name in zip(_CLASS_COLORS, names, strict=False)]
    note = ", ".join(legend) + (", gray: others" if len(numbers) > len(names) else "")
    both = (0.5 * picture + 0.5 * drawn).astype(np.uint8)
    title = f"{spec.name}: the top class with a window there covered"
    titles = ["what the model gets", spec.name, "both"]
    return images.grid([picture, drawn, both], titles, columns=3, title=title, note=note, tile=tile)
