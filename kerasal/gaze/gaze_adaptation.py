"""Adapt a gaze model to the images and observers of one's own data by fitting eight numbers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.optimize

from kerasal.checks import check_int
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze.predictor import Predictor
from kerasal.images import resize
from kerasal.layers import DensityAdaptation, GaussianBlur, LogDensity
from kerasal.metrics.summary import summarize
from kerasal.progress import progress_bar

import keras

PARAMETERS = ("scale", "blur", "amount", "center_y", "center_x", "sigma_y", "sigma_x", "floor")
FEWEST = 10
"""Fewest images to adapt to."""
_LOG = np.array([True, True, False, False, False, True, True, True])
_START = np.array([1.0, 0.3, 0.0, 0.0, 0.0, 0.25, 0.25, 0.001])
_LOWEST = np.array([0.2, 0.2, -4.0, -0.5, -0.5, 0.05, 0.05, 1e-6])
_HIGHEST = np.array([3.0, 5.0, 4.0, 0.5, 0.5, 2.0, 2.0, 0.5])
_RIDGE = 1e-3  # nats per square of a fitted number; keeps numbers that change nothing where they start
_SMALLEST = 1e-37
_MOST_CELLS = 64
"""Larger maps are shrunk to about this number of cells on the longer side for the fit."""


class NoGain(ValueError):
    """The adapted model does not predict left-out images better. ``table`` has the gain of each image in bits."""

    def __init__(self, message: str, table: pd.DataFrame):
        super().__init__(message)
        self.table = table


@dataclasses.dataclass(frozen=True)
class Adaptation:
    """The result of ``adapt``.

    Attributes:
        model: the adapted model; it takes RGB pixels of 0..255 and returns log-densities.
        parameters: the fitted numbers by name; see ``adapt``.
        table: the cross-validated ``gain`` of each image in bits per fixation.
        target: ``"fixations"``, ``"densities"``, or ``"fixations and densities"``: what the numbers were fitted to.
    """

    model: keras.Model
    parameters: dict[str, float]
    table: pd.DataFrame
    target: str

    @property
    def gain(self) -> dict[str, float]:
        """The mean gain, and the ends ``low`` and ``high`` of its bootstrap interval over images."""
        return _summarize(self.table)


def adapt(
    predictor: Predictor, data: GazeDataset, *, folds: int = 5, seed: int = 0, progress: bool = False
) -> Adaptation:
    """Return a gaze model adapted to a data set by eight numbers, if it then predicts images better that were left out.

    The numbers are fitted by the likelihood of the fixations on the cells of the model's map, of which at most about
    64 × 64 are used. The model itself does not change, so that a few dozen images are enough:

    * ``scale``: factor of the log-density (1 / temperature);
    * ``blur``: standard deviation of a Gaussian blur of the log-density, in cells of the model's map;
    * ``amount``, ``center_y``, ``center_x``, ``sigma_y``, ``sigma_x``: a Gaussian that is added to the log-density, its
      height in nats, and its center and width as shares of height and width;
    * ``floor``: the share of a uniform density.

    First they are fitted on all folds of images but one, and the gain is that on the fold left out: log₂ of the new
    density minus log₂ of the old at the fixations. The result is fitted on all images.

    Args:
        predictor: a gaze model with log-densities, such as the bundled one.
        data: at least ten images with fixations. Of images with only a density, the numbers are fitted to that: the
            gain is then in bits of cross-entropy.
        folds: number of parts for the cross-validation.
        seed: seed of the assignment of images to folds.
        progress: whether to show a progress bar.

    Raises:
        NoGain: a ValueError; the 95 % interval of the gain is not above 0.
        ValueError: the model does not return log-densities, there are fewer than ten images, or one cannot be used.

    Source: Kümmerer et al. 2025, "Modeling saliency dataset bias", where few parameters per data set regain most of
    what a model loses on data of others.
    """
    check_int("folds", folds, 2, max(2, len(data)))
    if not predictor.gives_log_density:
        raise ValueError(
            "predictor must be a model of log-densities to be adapted, whose last layer is LogDensity, got "
            f"{predictor.model.name!r}. The zoo model 'gaze' is one."
        )
    if len(data) < FEWEST:
        raise ValueError(f"data must have at least {FEWEST} images to adapt to, got {len(data)}.")
    maps, truths, target, factor = read_maps(predictor, data, progress=progress)
    order = np.random.default_rng(seed).permutation(len(maps))
    gains = np.zeros(len(maps))
    with progress_bar("Fitting", folds + 1, progress) as advance:
        for part in np.array_split(order, folds):
            rest = np.setdiff1d(order, part)
            values = fit_parameters([maps[i] for i in rest], [truths[i] for i in rest])
            for i in part:
                change = adapt_log_density(maps[i], values) - maps[i]
                gains[i] = (truths[i] * change).sum() / np.log(2)
            advance(1)
        values = fit_parameters(maps, truths)
        advance(1)
    table = pd.DataFrame({"gain": gains}, index=pd.Index(data.names, name="image"))
    found = _summarize(table)
    if not found["low"] > 0:
        raise NoGain(
            f"The model must predict left-out images better after adapting, got {found['gain']:+.3f} "
            f"[{found['low']:+.3f}, {found['high']:+.3f}] bits per fixation on {len(data)} images. Use the model as it "
            "is, or more images.",
            table,
        )
    parameters: dict[str, float] = dict(zip(PARAMETERS, map(float, values), strict=True))
    parameters["blur"] *= factor
    return Adaptation(build_model(predictor, parameters), parameters, table, target)


def fit_parameters(maps: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> np.ndarray:
    """Return the numbers in the order of ``PARAMETERS`` with the highest likelihood, for log-densities (h, w)."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, values in enumerate(maps):
        groups.setdefault(values.shape, []).append(number)
    stacks = [(np.stack([maps[i] for i in part]), np.stack([truths[i] for i in part])) for part in groups.values()]
    start, lowest, highest = (_transform(values) for values in (_START, _LOWEST, _HIGHEST))

    def loss(theta: np.ndarray) -> float:
        values = _invert(theta)
        total = sum(float((truth * adapt_log_density(stack, values)).sum()) for stack, truth in stacks)
        return _RIDGE * float(((theta - start) ** 2).sum()) - total / len(maps)

    bounds = list(zip(lowest, highest, strict=True))
    first = start + np.array([0, 0, 0.1, 0, 0, 0, 0, 0])  # a height of 0 would hide the effect of center and width
    return _invert(scipy.optimize.minimize(loss, first, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}).x)


def adapt_log_density(maps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return log-densities (…, h, w) adapted by the numbers, as the layers of ``build_model`` do."""
    scale, blur, amount, center_y, center_x, sigma_y, sigma_x, floor = values
    height, width = maps.shape[-2:]
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    bias = np.exp(-0.5 * ((y - center_y) / sigma_y) ** 2)[:, None] * np.exp(-0.5 * ((x - center_x) / sigma_x) ** 2)
    blurred = _blur_matrix(height, blur) @ maps @ _blur_matrix(width, blur).T
    result = scale * blurred + amount * bias
    peak = result.max(axis=(-2, -1), keepdims=True)
    result = result - peak - np.log(np.exp(result - peak).sum(axis=(-2, -1), keepdims=True))
    return np.logaddexp(result + np.log1p(-floor), np.log(floor / (height * width)))


def build_model(predictor: Predictor, parameters: dict[str, float]) -> keras.Model:
    """Return the model of a predictor with the layers of an adaptation, for RGB pixels of 0..255."""
    model, convention = predictor.model, predictor.convention
    inputs = keras.Input((*(predictor.size or model.input_shape[1:3]), 3), name="pixels")
    mean, std = (np.broadcast_to(np.asarray(values, float), 3) for values in (convention.mean, convention.std))
    mean, std = (mean[::-1], std[::-1]) if convention.bgr else (mean, std)
    scales, offsets = (1 / std).tolist(), (-mean / std).tolist()
    if len({*scales}) == 1 and len({*offsets}) == 1:
        scales, offsets = scales[0], offsets[0]
    tensor: Any = keras.layers.Rescaling(scales, offsets, name="rescale")(inputs)
    tensor = keras.ops.flip(tensor, axis=-1) if convention.bgr else tensor
    tensor = model(tensor)
    blur = GaussianBlur(parameters["blur"], learned=False, name="adapted_blur")
    adaptation = DensityAdaptation(
        parameters["scale"],
        parameters["amount"],
        (parameters["center_y"], parameters["center_x"]),
        (parameters["sigma_y"], parameters["sigma_x"]),
        parameters["floor"],
        name="adaptation",
    )
    density = LogDensity(predictor.image_size, name="log_density")(adaptation(blur(tensor)))
    return keras.Model(inputs, density, name=f"{model.name}_adapted")


def read_maps(
    predictor: Predictor, data: GazeDataset, *, progress: bool = False
) -> tuple[list[np.ndarray], list[np.ndarray], str, float]:
    """Return the log-density and the truth of each image, the kind of truth, and by which factor the maps were shrunk.

    Both are on the cells of the model's map, or on larger cells, about 64 on the longer side. The truth has the sum 1.
    """
    photos = (data.stimulus(name).model_pixels(predictor.size) for name in data.names)
    with progress_bar("Predicting", len(data), progress) as advance:
        raw_maps = [(raw, advance(1))[0] for raw in predictor.raw(photos)]
    factor = max(1.0, max(max(raw.shape) for raw in raw_maps) / _MOST_CELLS)
    maps, truths, kinds = [], [], set()
    for name, raw in zip(data.names, raw_maps, strict=True):
        size = max(1, round(raw.shape[0] / factor)), max(1, round(raw.shape[1] / factor))
        values = np.maximum(resize(raw, size).astype(np.float64), _SMALLEST)
        maps.append(np.log(values / values.sum()))
        has_fixations = data.stimulus(name).fixations is not None
        kinds.add("fixations" if has_fixations else "densities")
        truth = data.fixation_map(name, size) if has_fixations else data.density(name, size)
        truths.append(np.asarray(truth, np.float64) / np.asarray(truth, np.float64).sum())
    return maps, truths, " and ".join(sorted(kinds, reverse=True)), factor


def _summarize(table: pd.DataFrame) -> dict[str, float]:
    row = summarize(table).loc["gain"]
    return {"gain": float(row["mean"]), "low": float(row["low"]), "high": float(row["high"])}


def _transform(values: np.ndarray) -> np.ndarray:
    return np.where(_LOG, np.log(np.where(_LOG, values, 1.0)), values)


def _invert(theta: np.ndarray) -> np.ndarray:
    return np.where(_LOG, np.exp(np.where(_LOG, theta, 0.0)), theta)


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Return the matrix (size, size) of the blur of ``layers.GaussianBlur``, which repeats the values at the edges."""
    radius = max(1, int(np.ceil(4 * sigma)))
    steps = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (steps / sigma) ** 2)
    matrix = np.zeros((size, size))
    positions = np.clip(np.arange(size)[:, None] + steps, 0, size - 1)
    np.add.at(matrix, (np.arange(size)[:, None], positions), kernel / kernel.sum())
    return matrix
