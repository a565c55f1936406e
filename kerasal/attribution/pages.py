"""Drawings of attribution maps: the map, its overlay on the image, and both beside the image on a page."""

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
    spec: MethodSpec,
    picture: np.ndarray,
    values: np.ndarray,
    *,
    options: Mapping[str, Any] | None = None,
    bgr: bool = False,
    strength: float = 0.6,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a map as a color image and as an overlay on its image, both uint8 RGB (H, W, 3).

    Positive values of signed methods are red and negative values blue. The overlay of a gradient with three channels
    shows its largest magnitude over the channels.

    Args:
        spec: the method that made the map, from ``method_spec``.
        picture: the image as the model receives it, uint8 RGB (H, W, 3).
        values: the map (h, w), or a gradient with its channels (h, w, C).
        options: options with which the method was called, where they differ from its defaults.
        bgr: whether the gradient's channels are blue, green and red, in this order.
        strength: opacity of the colors over the image; see ``images.overlay``.
    """
    if values.ndim == 3:
        values = values[..., ::-1] if bgr else values
        drawn = images.relief(values) if values.shape[2] == 3 else images.heatmap(values[..., 0], signed=True)
        relief = values.shape[2] == 3
        values = np.abs(values).max(axis=2) if relief else values[..., 0]
        return drawn, images.overlay(picture, values, signed=not relief, strength=strength)
    signed = _is_signed(spec, values, options)
    return images.heatmap(values, signed=signed), images.overlay(picture, values, signed=signed, strength=strength)


def _is_signed(spec: MethodSpec, values: np.ndarray, options: Mapping[str, Any] | None) -> bool:
    """Return whether a map has a sign: by its method, so that every image looks the same, or because it is negative."""
    return spec.is_signed(options or {}) or bool((values < 0).any())


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
    """Return a page with the image, its attribution map and the map over the image side by side, uint8 RGB.

    Args:
        spec: the method that made the map, from ``method_spec``.
        picture: the image as the model receives it, uint8 RGB (H, W, 3).
        values: the map of this image as the method returned it.
        name: name of what is explained, such as a class, for the title.
        options: options with which the method was called, where they differ from its defaults.
        labels: class names for a map of class indices, in index order.
        note: a line of text below the images.
        bgr: whether the gradient's channels are blue, green and red, in this order.
    """
    values = spec.to_pixels(values, picture.shape[:2], options or {})
    tile = int(np.clip(max(picture.shape[:2]), 224, 448))
    if values.dtype.kind == "i":
        return _class_page(spec, picture, values, labels, tile)
    drawn, over = draw_map(spec, picture, values, options=options, bgr=bgr)
    titles, legend = ["model input", "map", "map over the input"], ("heat", "weak", "strong")
    if values.ndim == 3 and values.shape[2] == 3:
        titles = ["model input", "gradient of each color; gray is 0", "size of the gradient"]
        legend = ("overlay", "size of the gradient: small", "large")
    elif values.ndim == 3 or _is_signed(spec, values, options):
        legend = ("signed", "lowers the score", "raises the score")
    empty = "" if values.any() else "The map is 0 everywhere for this image; the warning names the likely cause."
    pictures, title = [picture, drawn, over], f"{spec.name}: {name}"
    return images.grid(pictures, titles, columns=3, title=title, note=empty or note, legend=[legend], tile=tile)


def _class_page(spec: MethodSpec, picture: np.ndarray, classes: np.ndarray, labels, tile: int) -> np.ndarray:
    """Return a page for a map of class indices: the five most frequent classes in color, with a legend below."""
    numbers, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(numbers), int)
    rank[order] = np.arange(len(numbers))
    shown = np.minimum(rank[np.searchsorted(numbers, classes)], len(_CLASS_COLORS) - 1)
    drawn = np.array([color for _, color in _CLASS_COLORS], np.uint8)[shown]
    names = [short(labels, int(numbers[index])) for index in order[: len(_CLASS_COLORS) - 1]]
    legend = [f"{color}: {name}" for (color, _), name in zip(_CLASS_COLORS, names, strict=False)]
    note = ", ".join(legend) + (", gray: others" if len(numbers) > len(names) else "")
    overlay = (0.5 * picture + 0.5 * drawn).astype(np.uint8)
    title = f"{spec.name}: top class when a window at this position is covered"
    titles = ["model input", spec.name, "map over the input"]
    return images.grid([picture, drawn, overlay], titles, columns=3, title=title, note=note, tile=tile)
