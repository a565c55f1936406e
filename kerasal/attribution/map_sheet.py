"""A sheet of explanations: a row per photo, a column per class, with the score of the class under each map."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.attribution.array_pages import array_kind
from kerasal.attribution.explanation_pages import Explanation
from kerasal.attribution.pages import array_legend, color_bars, drawing_kind, outline_areas
from kerasal.images.lettering import Legend
from kerasal.labels import format_score


def explanation_sheet(
    rows: Sequence[Sequence[Explanation]],
    names: Sequence[str] | None = None,
    *,
    on: Literal["photo", "input"] = "photo",
    strength: float = 0.6,
    colormap: str | None = None,
    tile: int | None = None,
) -> np.ndarray:
    """Return a sheet with a row per photo: the photo, and the map of each explanation over it, uint8 RGB (H, W, 3).

    Under each map stand the class and its score. A row of a signal, volume or video has the drawings of its maps, which
    show the input as well.

    Args:
        rows: for each photo its explanations, such as one per class; all rows have the same number.
        names: names of the photos or inputs, written under the photos, or beside the rows.
        on: what the maps are drawn on; see ``Explanation.overlay``.
        strength: opacity of the colors, 0..1.
        colormap: name of a colormap of matplotlib; see ``Explanation.overlay``.
        tile: longer side of each picture in pixels, by default 320; of a signal, volume or video 640.

    Raises:
        ValueError: no explanations, rows of different lengths, another number of names than rows, or an invalid option.
    """
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"rows must hold the same number of explanations for each photo, got {[len(row) for row in rows]}."
        )
    if names is not None and len(names) != len(rows):
        raise ValueError(f"names must hold {len(rows)} texts, one per row, got {len(names)}.")
    are_images = rows[0][0].picture.ndim == 3
    tile = tile or (320 if are_images else 640)
    tiles, labels = [], []
    for number, row in enumerate(rows):
        first = row[0]
        if are_images:
            photo = first.photo if on == "photo" and first.photo is not None else first.picture
            box = first.box if photo is first.photo else None
            tiles.append(outline_areas(photo, first.areas, box))
            labels.append(names[number] if names else "photo" if photo is first.photo else "model input")
        look: dict[str, Any] = {"strength": strength, "colormap": colormap, "width": tile}
        tiles += [explanation.overlay(on=on, **look) for explanation in row]
        labels += [_caption(explanation) for explanation in row]
    every = [explanation for row in rows for explanation in row]
    framed = on == "photo" and any(_sees_a_part(explanation) for explanation in every)
    return images.grid(
        tiles,
        labels,
        columns=are_images + lengths.pop(),
        row_labels=None if are_images else names,
        title=_title(every[0]),
        note=_note(every[0], framed),
        legend=_legend(every, colormap),
        tile=tile,
    )


def _caption(explanation: Explanation) -> str:
    score = format_score(explanation.score, probable=explanation.class_index is not None)
    text = f"{explanation.label}: {score}"
    return text if np.any(explanation.map) else f"{text}; the map is 0 everywhere"


def _legend(explanations: Sequence[Explanation], colormap: str | None) -> list[Legend]:
    """Return the color bars of the overlays; those of maps that have a sign for every image come from the method."""
    first = explanations[0]
    if first.picture.ndim != 3:
        signed = first.spec.is_signed(first.options)
        kinds = {array_kind(item.map, item.picture, signed): None for item in explanations}
        return [array_legend(kind, first.picture, colormap)[0] for kind in kinds]
    kinds = {drawing_kind(item.spec, item.map, item.options): None for item in explanations}
    bars: list[Any] = [color_bars(kind, colormap)[-1] for kind in kinds]
    return [("overlay", *ends) if colors == "heat" else (colors, *ends) for colors, *ends in bars]


def _sees_a_part(explanation: Explanation) -> bool:
    if explanation.photo is None or explanation.box is None:
        return False
    height, width = explanation.photo.shape[:2]
    return explanation.box != (0, 0, width, height)


def _title(explanation: Explanation) -> str:
    if explanation.spec.is_signed(explanation.options):
        return f"{explanation.method}: what raises or lowers the score of each class"
    return f"{explanation.method}: where the score of each class comes from"


def _note(explanation: Explanation, framed: bool) -> str:
    model = explanation._model.name if explanation._model else ""
    layer = f"layer {explanation.layer}" if explanation.layer else ""
    smoothed = "smoothed over noisy copies" if explanation.smoothing is not None else ""
    texts = [
        ", ".join(filter(None, [model, layer, smoothed])),
        "The model sees only the part in the frame" if framed else "",
    ]
    texts.append("Each map has its own color scale: colors compare places, not maps")
    return "".join(f"{text}. " for text in texts if text).strip()
