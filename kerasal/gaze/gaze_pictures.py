"""Figures of a gaze model: predictions beside the true densities, first-layer filters, the wrap-around of uint8."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import hooks, images
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze.gaze_prediction import finish_prediction
from kerasal.gaze.observer_ceiling import NoCeiling, ceiling, explained_share, measure_gain
from kerasal.gaze.predictor import Postprocess, Predictor
from kerasal.images.lettering import Legend
from kerasal.metrics import cc
from kerasal.metrics.coursework_metrics import coursework_map
from kerasal.progress import progress_bar

import keras

LEGEND: Legend = ("overlay", "hardly looked at", "looked at most")
"""The color bar of an overlay."""


def overlay(
    photograph: np.ndarray,
    values: np.ndarray,
    *,
    legend: bool = False,
    strength: float = 0.6,
    colormap: str | None = None,
) -> np.ndarray:
    """Return a map (H, W) drawn over its photo, uint8 RGB (H, W, 3); the lowest value is transparent.

    With ``legend``, a strip below the photo says what the colors mean, and the picture is higher than the photo.
    ``strength`` is the opacity of the colors, 0..1, and ``colormap`` a sequential colormap of matplotlib.
    """
    values = np.asarray(values, np.float64)
    drawn = images.overlay(photograph, values - values.min(), strength=strength, colormap=colormap)
    return images.append_legend(drawn, (colormap or LEGEND[0], *LEGEND[1:])) if legend else drawn


def panel(
    predictor: Predictor,
    data: GazeDataset,
    names: Sequence[str] | None = None,
    *,
    postprocess: Postprocess | None = None,
    count: int = 1,
    tile: int = 240,
    progress: bool = False,
) -> np.ndarray:
    """Return a figure with rows of image, density and prediction, for some images or the best, median and worst by CC.

    If the data tell observers apart, each row has the information gain of the model and of the other observers over the
    center in bits per fixation, and the title the share explained; see ``kerasal.gaze.ceiling``.

    Args:
        predictor: the gaze model.
        data: a ``GazeDataset`` whose images can all be read.
        names: names of the images to show; with None, all images are predicted to find the best, median and worst.
        postprocess: see ``kerasal.gaze.resize_map``; by default the predictor's.
        count: number of best, of median and of worst images.
        tile: longer side of each image in the figure, in pixels.
        progress: whether to show a progress bar.

    Returns:
        The figure, uint8 RGB.

    Raises:
        ValueError: all predictions are constant, or an image cannot be read.
    """
    postprocess = predictor.postprocess if postprocess is None else postprocess
    wanted = list(data.names) if names is None else list(names)
    scores, gains, raw_maps = {}, {}, {}
    limits = _find_limits(data.subset(dict.fromkeys(wanted)), progress)
    with progress_bar("Predicting", len(wanted), progress) as advance:
        outputs = predictor.raw(data.stimulus(name).model_pixels(predictor.size) for name in wanted)
        for name, raw in zip(wanted, outputs, strict=True):
            truth = np.asarray(data.density(name))
            found = finish_prediction(predictor, raw, truth.shape, postprocess)
            prediction, points = found.map, data.points(name)
            if name in limits and points is not None:
                gains[name] = measure_gain(found.log_density, points)
            scores[name] = cc(prediction, truth, name=name) if prediction.min() < prediction.max() else float("nan")
            raw_maps[name] = raw
            advance(1)
    labeled = {name: "" for name in wanted} if names is not None else choose_images(scores, count)
    tiles, labels, rows = [], [], []
    for name, kind in labeled.items():
        photograph, truth = data.image(name), np.asarray(data.density(name))
        prediction = finish_prediction(predictor, raw_maps[name], truth.shape, postprocess).map
        tiles += [photograph, _draw_heat(truth), _draw_heat(prediction), overlay(photograph, prediction)]
        bits = f"{gains[name]:.2f} of {limits[name]:.2f} bits" if name in gains else ""
        labels += [name, "", f"CC {scores[name]:.2f}", bits]
        rows.append(kind)
    title = f"{predictor.model.name} on {len(wanted)} images, mean CC {np.nanmean(list(scores.values())):.3f}"
    note = (
        "Each map has its own color scale, from its lowest to its highest value. CC: correlation with the density of "
        "the fixations, 1 at best."
    )
    if gains:
        explained = explained_share(list(gains.values()), [limits[name] for name in gains])
        title += f", {explained['share']:.0%} of explainable information"
        note += " Bits per fixation above the center: the model's, and those of the other observers."
    return images.grid(
        tiles,
        labels,
        columns=4,
        row_labels=rows if any(rows) else None,
        column_labels=["photo", "where people looked", "prediction", "prediction over the photo"],
        title=title,
        note=note,
        legend=[("heat", "hardly looked at", "looked at most")],
        tile=tile,
    )


def _find_limits(data: GazeDataset, progress: bool) -> dict[str, float]:
    """Return the information gain of the other observers by image, or nothing if the data do not tell them apart."""
    try:
        return ceiling(data, progress=progress).table["information_gain"].dropna().to_dict()
    except NoCeiling:
        return {}


def filters(model: keras.Model, *, bgr: bool = False, columns: int = 8, tile: int = 72) -> np.ndarray:
    """Return a figure of the kernels of the first convolution as RGB images, on a common scale, uint8 RGB.

    Args:
        model: a model whose first convolution takes RGB images.
        bgr: whether its preprocessing swaps the channels.
        columns: number of kernels per row.
        tile: side of each kernel in the figure, in pixels.

    Raises:
        ValueError: there is no convolution with three input channels.
    """
    pairs: list[tuple[str, Any]] = [(path, getattr(layer, "kernel", None)) for path, layer in hooks.layers(model)]
    shapes = [tuple(getattr(kernel, "shape", ())) for _, kernel in pairs]
    number = next((i for i, shape in enumerate(shapes) if len(shape) == 4 and shape[2] == 3), None)
    if number is None:
        raise ValueError(f"{model.name!r} must have a convolution with 3 input channels, got none.")
    path, kernel = pairs[number]
    kernels = np.asarray(kernel, np.float64)[:, :, :: -1 if bgr else 1]
    low, high = kernels.min(), kernels.max()
    scaled = np.round(255 * (kernels - low) / ((high - low) or 1.0)).astype(np.uint8)
    height, width, _, count = kernels.shape
    return images.grid(
        [scaled[..., i] for i in range(count)],
        [str(i) for i in range(count)],
        columns=min(columns, count),
        title=f"{model.name}, {path}: {count} kernels of {height} × {width}",
        note="All kernels have the same scale. Colors: the weights of the red, green and blue channels.",
        legend=[("gray", f"weight {low:.3g}", f"{high:.3g}")],
        tile=tile,
    )


def wrap_panel(photograph: np.ndarray, raw: np.ndarray, tile: int = 300) -> np.ndarray:
    """Return a figure that compares a clipped map with its cast to uint8 without clipping, uint8 RGB.

    Args:
        photograph: uint8 RGB (H, W, 3).
        raw: the output of the model for the photo, float (h, w), not clipped.
        tile: longer side of each image in the figure, in pixels.
    """
    shape = photograph.shape[:2]
    below, above = float((raw < 0).mean()), float((raw > 1).mean())
    clipped, wrapped = (coursework_map(raw, shape, legacy=legacy) for legacy in (False, True))
    return images.grid(
        [photograph, _draw_heat(clipped, 1.0), _draw_heat(wrapped, 1.0)],
        ["image", "prediction, clipped to 0..1", "cast to uint8 without clipping"],
        columns=3,
        note=f"The cast wraps around: {below:.1%} of the model's pixels are below 0 and turn bright, {above:.1%} are "
        "above 1 and turn dark.",
        legend=[("heat", "0", "1")],
        tile=tile,
    )


def choose_images(scores: dict[str, float], count: int) -> dict[str, str]:
    """Return a dictionary from the names of the chosen images, best first, to "best", "median" or "worst"."""
    order = sorted((name for name in scores if scores[name] == scores[name]), key=lambda name: -scores[name])
    if not order:
        raise ValueError(
            "Predictions must vary to be ranked by CC, got only constant maps. Pass names to choose images."
        )
    middle = max(0, (len(order) - count) // 2)
    kinds = {"best": order[:count], "median": order[middle : middle + count], "worst": order[-count:]}
    chosen: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            chosen.setdefault(name, kind)
    return chosen


def _draw_heat(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if limit is None:
        values = values - values.min()
        limit = float(values.max()) or 1.0
    return images.heatmap(values, signed=False, limit=limit)
