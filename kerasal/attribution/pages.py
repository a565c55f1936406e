"""Drawings of attribution maps: the map, its overlay on the image, and both beside the image on a page."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.attribution.array_pages import (
    Axes,
    array_kind,
    array_page,
    draw_array,
    draw_map_alone,
    name_colors,
    positions,
)
from kerasal.attribution.method import MethodSpec
from kerasal.images.grids import fit_tile
from kerasal.images.lettering import Legend
from kerasal.labels import format_score, short

_CLASS_COLORS = [
    ("white", (245, 245, 245)),
    ("red", (200, 50, 50)),
    ("blue", (50, 90, 200)),
    ("yellow", (235, 200, 60)),
    ("green", (60, 160, 80)),
    ("gray", (110, 110, 110)),
]


LEGENDS: Mapping[str, list[Legend]] = {
    "magnitude": [("heat", "weak", "strong")],
    "signed": [("signed", "lowers the score", "raises the score")],
    "gradient": [("signed", "a lower value raises the score", "a higher value raises it")],
    "relief": [
        ("gray", "colors: darker raises the score", "lighter raises it"),
        ("overlay", "size of the gradient: small", "large"),
    ],
}
"""The color bars of a drawn map; see ``drawing_kind``."""

_OUTLINE_NOTE = "The target asks about the area in the outline."


def draw_map(
    spec: MethodSpec,
    picture: np.ndarray,
    values: np.ndarray,
    *,
    options: Mapping[str, Any] | None = None,
    bgr: bool = False,
    strength: float = 0.6,
    colormap: str | None = None,
    axes: Axes | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a map as a color image and as an overlay on its image, both uint8 RGB (H, W, 3).

    Positive values of signed methods are red and negative values blue. The overlay of a gradient with three channels
    shows its largest magnitude over the channels. Signals, volumes, videos and texts are drawn with ``images.signal``,
    ``images.volume``, ``images.video`` and ``images.text``.

    Args:
        spec: the method that made the map, from ``method_spec``.
        picture: the image as the model receives it, uint8 RGB (H, W, 3); or another input of a model with its channels
            last, a signal (T, C), a volume or video (D, H, W, C), or the token indices (T,) of a text.
        values: the map (h, w), (T,) or (D, H, W), or a gradient with its channels.
        options: options with which the method was called, where they differ from its defaults.
        bgr: whether the gradient's channels are blue, green and red, in this order.
        strength: opacity of the colors over the image; see ``images.overlay``.
        colormap: name of a colormap of matplotlib; see ``images.overlay``.
        axes: how the axes of a signal, volume or video are labeled, and the tokens of a text.

    Raises:
        ValueError: an invalid ``strength`` or ``colormap``, or one that does not fit the sign of the map.
    """
    if picture.ndim != 3:
        signed = array_kind(values, picture, spec.is_signed(options or {})) != "magnitude"
        drawing = {"signed": signed, "strength": strength, "colormap": colormap, "axes": axes or Axes()}
        return draw_map_alone(values, picture, **drawing), draw_array(picture, values, **drawing)
    kind = drawing_kind(spec, values, options)
    over: dict[str, Any] = {"strength": strength, "colormap": colormap}
    if values.ndim == 3:
        values = values[..., ::-1] if bgr else values
    if kind == "relief":
        size = np.abs(values).max(axis=2)
        return images.relief(values), images.overlay(picture, size, signed=False, **over)
    values = values[..., 0] if values.ndim == 3 else values
    drawn = images.heatmap(values, signed=kind == "signed", colormap=colormap)
    return drawn, images.overlay(picture, values, signed=kind == "signed", **over)


def drawing_kind(
    spec: MethodSpec, values: np.ndarray, options: Mapping[str, Any] | None = None
) -> Literal["magnitude", "signed", "relief"]:
    """Return how a map is drawn: as magnitudes, with its sign, or as a gradient in the colors of the image.

    The method and its options decide, so that all images look the same; a map with negative values is always signed.
    """
    if values.ndim == 3:
        return "relief" if values.shape[2] == 3 else "signed"
    return "signed" if spec.is_signed(options or {}) or bool((values < 0).any()) else "magnitude"


def color_bars(kind: str, colormap: str | None = None) -> list[Legend]:
    """Return the color bars of a kind of drawing in the colors of ``colormap``, if there is one."""
    *others, (colors, low, high) = LEGENDS[kind]
    return [*others, (colormap or colors, low, high)]


def array_legend(kind: str, picture: np.ndarray, colormap: str | None = None) -> list[Legend]:
    """Return the color bar of the map of a signal, volume, video or text."""
    _, low, high = LEGENDS[kind][-1]
    return [(name_colors(kind, picture, colormap), low, high)]


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
    score: float | None = None,
    photo: np.ndarray | None = None,
    box: tuple[int, int, int, int] | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
    tile: int | None = None,
    axes: Axes | None = None,
    areas: Sequence[np.ndarray] = (),
    probable: bool = True,
) -> np.ndarray:
    """Return a page with the image, its attribution map and the map over the image side by side, uint8 RGB.

    The page of a signal has its map as colors of its line, that of a text behind its tokens; those of volumes and
    videos have planes and frames.

    Args:
        spec: the method that made the map, from ``method_spec``.
        picture: the image as the model receives it, uint8 RGB (H, W, 3); or another input of a model; see ``draw_map``.
        values: the map of this image as the method returned it.
        name: name of what is explained, such as a class, for the title.
        options: options with which the method was called, where they differ from its defaults.
        labels: class names for a map of class indices, in index order.
        note: a line of text below the images, such as the names of the model and the image.
        bgr: whether the gradient's channels are blue, green and red, in this order.
        score: the model's output for what is explained, which is added to the title.
        photo: the original photo, uint8 RGB, on which everything is drawn instead of on ``picture``.
        box: the part of ``photo`` that the model received, (x_min, y_min, x_max, y_max); by default all of it. The rest
            of the photo is faded.
        strength: opacity of the colors over the image; see ``images.overlay``.
        colormap: name of a colormap of matplotlib; see ``images.overlay``.
        tile: longer side of each image in pixels; by default that of the image, within 224..448. Width of the drawing
            of a signal, volume, video or text.
        axes: how the axes of a signal, volume or video are labeled, and the tokens of a text.
        areas: regions and boxes that are outlined in the pictures of an image; see ``images.outline``.
        probable: whether a score from 0 to 1 is a probability, as that of a class.
    """
    title = f"{spec.name}: {name}"
    if score is not None:
        title += f", {format_score(score, named=True, probable=probable)}"
    values = spec.to_pixels(values, positions(picture), options or {})
    if picture.ndim != 3:
        kind = array_kind(values, picture, spec.is_signed(options or {}))
        drawing = {"signed": kind != "magnitude", "strength": strength, "colormap": colormap, "width": tile}
        legend = array_legend(kind, picture, colormap)
        return array_page(spec, picture, values, title, note, legend, axes=axes or Axes(), **drawing)
    titles = ["model input", "map", "map over the input"]
    shown = picture if photo is None else photo
    tile = tile or int(np.clip(max(shown.shape[:2]), 224, 448))
    if photo is not None:
        left, top, right, bottom = box or (0, 0, photo.shape[1], photo.shape[0])
        picture = photo[top:bottom, left:right]
        titles = ["photo", "map", "map over the photo"]
        if picture.shape != photo.shape:
            note = " ".join(filter(None, [f"{note}." if note else "", "The model sees only the part in the frame."]))
    legend = []
    if values.dtype.kind == "i":
        drawn, note = _draw_classes(values, labels)
        over = (0.5 * picture + 0.5 * images.resize(drawn, picture.shape[:2])).astype(np.uint8)
        title = f"{spec.name}: top class when a window at this position is covered"
    else:
        drawn, over = draw_map(spec, picture, values, options=options, bgr=bgr, strength=strength, colormap=colormap)
        kind = drawing_kind(spec, values, options)
        legend = color_bars(kind, colormap)
        if kind == "relief":
            titles[1:] = ["gradient in colors; gray: 0", "size of the gradient"]
        if not values.any():
            note = "The map is 0 everywhere for this image; the warning names the likely cause."
    pictures = [picture, drawn, over]
    if photo is not None and box is not None:
        grounds = [photo, np.full_like(photo, 255), photo]
        pictures = [images.place(ground, part, box) for ground, part in zip(grounds, pictures, strict=True)]
    if areas:
        pictures = [outline_areas(fit_tile(part, tile), areas, box, shown.shape[:2]) for part in pictures]
        note = " ".join(filter(None, [f"{note.rstrip('.')}." if note else "", _OUTLINE_NOTE]))
    return images.grid(pictures, columns=3, column_labels=titles, title=title, note=note, legend=legend, tile=tile)


def outline_areas(
    picture: np.ndarray,
    areas: Sequence[np.ndarray],
    part: tuple[int, int, int, int] | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return a picture with the outlines of areas over a part of it, in pixels of ``size``, (height, width)."""
    if part is not None and size is not None:
        scales = picture.shape[1] / size[1], picture.shape[0] / size[0]
        left, top, right, bottom = (round(end * scales[place % 2]) for place, end in enumerate(part))
        part = left, top, max(right, left + 1), max(bottom, top + 1)
    for area in areas:
        picture = images.outline(picture, area, part)
    return picture


def _draw_classes(classes: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, str]:
    """Return a map of class indices with the five most frequent classes in color, and a text that names them."""
    numbers, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(numbers), int)
    rank[order] = np.arange(len(numbers))
    shown = np.minimum(rank[np.searchsorted(numbers, classes)], len(_CLASS_COLORS) - 1)
    drawn = np.array([color for _, color in _CLASS_COLORS], np.uint8)[shown]
    names = [short(labels, int(numbers[index])) for index in order[: len(_CLASS_COLORS) - 1]]
    legend = [f"{color}: {name}" for (color, _), name in zip(_CLASS_COLORS, names, strict=False)]
    return drawn, ", ".join(legend) + (", gray: others" if len(numbers) > len(names) else "")
