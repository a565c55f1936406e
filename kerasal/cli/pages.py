"""What the commands show: the table of top classes, and the sheets of pictures."""

import numpy as np
from rich.table import Table

from kerasal import images
from kerasal.cli.session import results
from kerasal.labels import short

_CLASS_COLOURS = [
    ("white", (245, 245, 245)),
    ("red", (200, 50, 50)),
    ("blue", (50, 90, 200)),
    ("yellow", (235, 200, 60)),
    ("green", (60, 160, 80)),
    ("grey", (110, 110, 110)),
]


def print_top_classes(opened, inputs: np.ndarray, count: int = 5) -> str | None:
    """Print the model's top classes for one input; return the first, or None if the model is no classifier."""
    from kerasal import hooks

    with hooks.unchanged(opened.model):
        outputs = opened.model(inputs, training=False)
    if not hasattr(outputs, "shape") or len(outputs.shape) != 2 or outputs.shape[1] < 2:
        return None
    scores = np.asarray(outputs, dtype=np.float64)[0]
    probable = scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2
    table = Table("class", "number", "probability" if probable else "score")
    order = np.argsort(-scores, kind="stable")[:count]
    for index in order:
        table.add_row(
            short(opened.labels, index), str(index), f"{scores[index]:.1%}" if probable else f"{scores[index]:.3g}"
        )
    results().print(table)
    return short(opened.labels, int(order[0]))


def draw(spec, opened, picture: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw a method's map, and the map on the picture, both as uint8 RGB."""
    if values.ndim == 3:  # a gradient with its channels
        if opened.preprocessing is not None and opened.preprocessing.bgr:
            values = values[..., ::-1]
        drawn = images.relief(values) if values.shape[2] == 3 else images.heatmap(values[..., 0])
        strength = np.abs(values).max(axis=2)
    else:
        drawn = images.heatmap(values, signed=spec.signed and bool((values < 0).any()))
        strength = np.abs(values)
    return drawn, images.overlay(picture, strength)


def attribution_page(spec, opened, picture: np.ndarray, values: np.ndarray, name: str, own: dict) -> np.ndarray:
    """Lay out the photograph, the map, and the map on the photograph; ``own`` holds the method's own options."""
    if spec.on_pixels:
        values = spec.on_pixels(values, picture.shape[:2], own)
    if values.dtype.kind == "i":
        return _class_page(spec, opened, picture, values)
    drawn, over = draw(spec, opened, picture, values)
    shown = ["what the model gets", _colours(spec, values), "where it is strong"]
    tile = int(np.clip(max(picture.shape[:2]), 224, 448))
    note = "" if values.any() else "The map is zero everywhere: nothing in this image moves the score."
    return images.grid(
        [picture, drawn, over], shown, columns=3, title=f"{spec.name}: {name}", note=note or opened.how, tile=tile
    )


def _colours(spec, values: np.ndarray) -> str:
    """Say how to read the map's colours."""
    if values.ndim == 3 and values.shape[2] == 3:
        return "grey: no effect; each colour up or down"
    if spec.signed and (values < 0).any():
        return "red speaks for it, blue against"
    return "the brighter, the stronger"


def comparison(title: str, picture: np.ndarray, shown: list, advice: str) -> np.ndarray:
    """Lay out every method: its map beside its overlay, its name above, its one line below; and the advice."""
    legend = (
        "What the model gets. For each method: its map, and where it is strong. Brighter is stronger; where a map has "
        "a sign, red speaks for the class and blue against; white or middle grey is no effect."
    )
    panels = [images.caption(images.grid([picture], columns=1, tile=168, title="the image"), "", lines=4)]
    panels[0] = _beside(panels[0], legend)
    for spec, drawn, over, layer in shown:
        name = spec.name + (f" ({layer})" if layer else "")
        panels.append(images.caption(images.grid([drawn, over], columns=2, tile=168, title=name), spec.summary))
    page = images.sheet(panels, columns=3, title=title)
    return images.caption(page, advice)


def _beside(panel: np.ndarray, text: str) -> np.ndarray:
    """Write a text at the right of a panel, as wide as the panel is."""
    blank = np.full((1, panel.shape[1], 3), 255, np.uint8)
    written = images.caption(blank, text, lines=12)[: panel.shape[0]]
    below = np.full((panel.shape[0] - len(written), panel.shape[1], 3), 255, np.uint8)
    return np.concatenate([panel, np.concatenate([written, below])], axis=1)


def _class_page(spec, opened, picture: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Lay out the photograph and a map of class numbers, the commonest in colours of their own, named below."""
    found, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(found), int)
    rank[order] = np.arange(len(found))
    shown = np.minimum(rank[np.searchsorted(found, classes)], len(_CLASS_COLOURS) - 1)
    drawn = np.uint8([colour for _, colour in _CLASS_COLOURS])[shown]
    names = [short(opened.labels, int(found[index])) for index in order[: len(_CLASS_COLOURS) - 1]]
    legend = [f"{colour}: {name}" for (colour, _), name in zip(_CLASS_COLOURS, names, strict=False)]
    note = ", ".join(legend) + (", grey: others" if len(found) > len(names) else "")
    laid = (0.5 * picture + 0.5 * drawn).astype(np.uint8)
    tile = int(np.clip(max(picture.shape[:2]), 224, 448))
    titles = ["what the model gets", spec.name, "both"]
    title = f"{spec.name}: the top class with a window there covered"
    return images.grid([picture, drawn, laid], titles, columns=3, title=title, note=note, tile=tile)


def feature_page(maps: np.ndarray, layer: str, chosen: list[int] | None, scale: str, title: str) -> np.ndarray:
    """Lay out the feature maps (h, w, C) of a layer, each under its number; on one scale, or each on its own."""
    if maps.ndim != 3:
        raise ValueError(f"Layer {layer!r} has no maps to draw: its output for an image has shape {maps.shape}.")
    count = maps.shape[2]
    chosen = list(range(min(count, 256))) if chosen is None else chosen
    if max(chosen) >= count:
        raise ValueError(f"Layer {layer!r} has {count} channels, counted from 0. Received: {max(chosen)}.")
    signed = bool((maps < 0).any())
    limit = float(np.abs(maps[..., chosen]).max()) if scale == "layer" else None
    drawn = [images.heatmap(maps[..., channel], signed=signed, limit=limit) for channel in chosen]
    silent = [str(channel) for channel in chosen if not maps[..., channel].any()]
    listed = ", ".join(silent[:12]) + (", …" if len(silent) > 12 else "")
    note = f"black: silent for this image ({listed})" if silent and not signed else ""
    if len(chosen) < count:
        note = f"{len(chosen)} of {count} channels (--channels for others). {note}"
    columns = 8 if len(chosen) <= 64 else 16
    return images.grid(
        drawn, [str(channel) for channel in chosen], columns=min(columns, len(chosen)), title=title, note=note, tile=84
    )
