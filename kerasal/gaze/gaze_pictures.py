"""Sheets that a person judges a gaze model by: predictions beside the truth, first-layer filters, the uint8 wrap."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import hooks, images
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze.gaze_prediction import complete
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.metrics import cc
from kerasal.metrics.coursework_metrics import coursework_map
from kerasal.progress import progress_bar

import keras


def overlay(photograph: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Draw a map (H, W) over its photograph, from its lowest value on: what is as low everywhere else is no heat."""
    values = np.asarray(values, np.float64)
    return images.overlay(photograph, values - values.min())


def panel(
    predictor: Predictor,
    data: GazeDataset,
    names: Sequence[str] | None = None,
    *,
    postprocess: Postprocess = "examiners",
    count: int = 1,
    tile: int = 240,
    progress: bool = False,
) -> np.ndarray:
    """Draw image, truth and prediction in rows: the given images, or the best, median and worst ones by CC.

    Args:
        predictor: the model.
        data: a ``GazeDataset`` of which every image can be read.
        names: of the images to show; ``None`` predicts all and chooses.
        postprocess: see ``kerasal.gaze.finish``.
        count: images of each kind (best, median, worst).
        tile: size of a picture.
        progress: show a bar.

    Returns:
        uint8 RGB.
    """
    wanted = list(data.names) if names is None else list(names)
    scores, kept = {}, {}
    with progress_bar("Predicting", len(wanted), progress) as advance:
        raws = predictor.raw(data.image(name) for name in wanted)
        for name, raw in zip(wanted, raws, strict=True):
            truth = np.asarray(data.density(name))
            shown = complete(predictor, raw, truth.shape, postprocess).map
            scores[name] = cc(shown, truth, name=name) if shown.min() < shown.max() else float("nan")
            kept[name] = raw
            advance(1)
    labeled = {name: "" for name in wanted} if names is not None else _choose(scores, count)
    pictures, labels, rows = [], [], []
    for name, kind in labeled.items():
        photograph, truth = data.image(name), np.asarray(data.density(name))
        shown = complete(predictor, kept[name], truth.shape, postprocess).map
        pictures += [photograph, _draw_heat(truth), _draw_heat(shown), overlay(photograph, shown)]
        labels += [name, "where people looked", f"prediction, CC {scores[name]:.2f}", "prediction on the image"]
        rows.append(kind)
    title = f"{predictor.model.name} on {len(wanted)} images, mean CC {np.nanmean(list(scores.values())):.3f}"
    return images.grid(
        pictures,
        labels,
        columns=4,
        row_labels=rows,
        title=title,
        note="each map is scaled to its own range: black is its lowest, white its highest value",
        tile=tile,
    )


def filters(model: keras.Model, *, bgr: bool = False, columns: int = 8, tile: int = 72) -> np.ndarray:
    """Draw the kernels of the first convolution as colors, all on one scale from the lowest to the highest weight.

    Args:
        model: a model whose first convolution sees RGB images.
        bgr: whether its preprocessing swaps the channels.
        columns: pictures per row.
        tile: size of a picture.

    Raises:
        ValueError: there is no convolution with three input channels.
    """
    found: list[tuple[str, Any]] = [(path, getattr(layer, "kernel", None)) for path, layer in hooks.layers(model)]
    shapes = [tuple(getattr(kernel, "shape", ())) for _, kernel in found]
    number = next((i for i, shape in enumerate(shapes) if len(shape) == 4 and shape[2] == 3), None)
    if number is None:
        raise ValueError(f"{model.name} has no convolution with three input channels.")
    path, kernel = found[number]
    kernels = np.asarray(kernel, np.float64)[:, :, :: -1 if bgr else 1]
    low, high = kernels.min(), kernels.max()
    scaled = np.round(255 * (kernels - low) / ((high - low) or 1.0)).astype(np.uint8)
    height, width, _, count = kernels.shape
    return images.grid(
        [scaled[..., i] for i in range(count)],
        [str(i) for i in range(count)],
        columns=min(columns, count),
        title=f"{model.name}, {path}: {count} kernels of {height} × {width}",
        note=f"one scale for all, {low:.3g} black to {high:.3g} white; red, green, blue as the weights of R, G, B",
        tile=tile,
    )


def wrap_panel(photograph: np.ndarray, raw: np.ndarray, tile: int = 300) -> np.ndarray:
    """Draw what casting a model's output to 8 bits without clipping does, beside the clipped map."""
    shape = photograph.shape[:2]
    below, above = float((raw < 0).mean()), float((raw > 1).mean())
    clipped, wrapped = (coursework_map(raw, shape, legacy=legacy) for legacy in (False, True))
    return images.grid(
        [photograph, _draw_heat(clipped, 1.0), _draw_heat(wrapped, 1.0)],
        ["image", "prediction, clipped to 0..1", "the same cast to uint8: it wraps around"],
        columns=3,
        note=f"{below:.1%} of the net's pixels are below 0 and turn bright, {above:.1%} above 1 and turn dark; "
        "0 black, 1 white",
        tile=tile,
    )


def _choose(scores: dict[str, float], count: int) -> dict[str, str]:
    """Return name -> kind of the best, median and worst images, best first; one of few is shown once."""
    order = sorted((name for name in scores if scores[name] == scores[name]), key=lambda name: -scores[name])
    if not order:
        raise ValueError("Every prediction is constant: there is no CC to choose by.")
    middle = max(0, (len(order) - count) // 2)
    kinds = {"best": order[:count], "median": order[middle : middle + count], "worst": order[-count:]}
    found: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            found.setdefault(name, kind)
    return found


def _draw_heat(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if limit is None:
        values = values - values.min()
        limit = float(values.max()) or 1.0
    return images.heatmap(values, signed=False, limit=limit)
