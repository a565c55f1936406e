"""Figures of a training run: its curves and its confusion matrix; and a callback that records the features."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasal import hooks
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field import FeatureEvolution

import keras

# Blue and orange of Okabe & Ito's palette, which color-blind people can distinguish.
_TRAIN, _TEST = "#0072B2", "#D55E00"


def _draw_panels(title: str, **shape):
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, 2, **shape)
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure, panels


def draw_curves(history: pd.DataFrame, title: str) -> Figure:
    """Return a figure of a classifier's accuracy and loss by epoch; save it with ``savefig``.

    ``history`` has the columns epoch, loss, accuracy, test_loss and test_accuracy. The figure is not registered with
    pyplot.
    """
    figure, panels = _draw_panels(title)
    for axes, quantity in zip(panels, ("accuracy", "loss"), strict=True):
        _plot_quantity(axes, history, quantity)
    return figure


def draw_quantity(history: pd.DataFrame, quantity: Literal["accuracy", "loss"]) -> Figure:
    """Return one of the panels of ``draw_curves`` as a figure of its own, without a title."""
    figure, axes = _draw_panel()
    _plot_quantity(axes, history, quantity)
    return figure


def _draw_panel():
    figure = Figure(figsize=(5, 3.3), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    return figure, axes


def _plot_quantity(axes, history: pd.DataFrame, quantity: str) -> None:
    axes.plot(history["epoch"], history[quantity], "o-", color=_TRAIN, label="train (running, dropout on)")
    axes.plot(history["epoch"], history[f"test_{quantity}"], "s-", color=_TEST, label="test (dropout off)")
    axes.set(xlabel="epoch", ylabel="cross-entropy loss" if quantity == "loss" else quantity)
    axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
    axes.legend(loc="best")


def draw_steps(steps: pd.DataFrame, history: pd.DataFrame, quantity: str, title: str) -> Figure:
    """Return a figure of a gaze training: training and validation loss by step, and next to it the validation CC.

    Args:
        steps: the columns step and loss, one row per batch.
        history: the columns step, val_loss and val_cc; NaN in epochs without validation.
        quantity: label of the loss axis.
        title: title of the figure.
    """
    figure, (left, right) = _draw_panels(title, width_ratios=(3, 2))
    _plot_losses(left, steps, history, quantity)
    _plot_validation(right, steps, history)
    return figure


def draw_losses(steps: pd.DataFrame, history: pd.DataFrame, quantity: str) -> Figure:
    """Return the left panel of ``draw_steps`` as a figure of its own, without a title."""
    figure, axes = _draw_panel()
    _plot_losses(axes, steps, history, quantity)
    return figure


def draw_validation(steps: pd.DataFrame, history: pd.DataFrame) -> Figure:
    """Return the right panel of ``draw_steps`` as a figure of its own, without a title."""
    figure, axes = _draw_panel()
    _plot_validation(axes, steps, history)
    return figure


def _plot_losses(left, steps: pd.DataFrame, history: pd.DataFrame, quantity: str) -> None:
    validated = history.dropna(subset="val_loss")
    left.plot(steps["step"], steps["loss"], color=_TRAIN, alpha=0.35, linewidth=0.8, label="train, each batch")
    width = max(1, len(steps) // 40)
    if width > 1:
        smooth = steps["loss"].rolling(width, center=True, min_periods=1).mean()
        left.plot(steps["step"], smooth, color=_TRAIN, label=f"train, mean of {width} batches")
    left.plot(validated["step"], validated["val_loss"], "s-", color=_TEST, markersize=3, label="validation")
    left.set_ylabel(quantity)
    batches, validations = steps["loss"], validated["val_loss"]
    low: Any = min(batches.min(), validations.min())
    high: Any = max(batches.quantile(0.99), validations.quantile(0.9))
    if high > low:  # the large losses of the first batches would hide the rest of the curve
        left.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    left.set(xlabel="step", xlim=(0, steps["step"].max() * 1.03))
    left.legend()


def _plot_validation(right, steps: pd.DataFrame, history: pd.DataFrame) -> None:
    validated = history.dropna(subset="val_loss")
    right.plot(validated["step"], validated["val_cc"], "s-", color=_TEST, markersize=3, label="validation")
    right.set_ylabel("CC with the density")
    right.set(xlabel="step", xlim=(0, steps["step"].max() * 1.03))
    right.legend()


_NUMBERED, _NAMED = 25, 60  # largest numbers of classes with counts in the cells and names at the axes


def count_confusion(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return the number of images by true class (rows) and predicted class (columns)."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (labels, predicted), 1)
    return pd.DataFrame(counts, index=pd.Index(names, name="true class"), columns=list(names))


def draw_confusion(counts: pd.DataFrame, title: str) -> Figure:
    """Return a figure of a confusion matrix: colors are shares of the row, numbers counts; save with ``savefig``."""
    classes = len(counts)
    side = min(4.0 + 0.45 * classes, 14.0)
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    axes = figure.subplots()
    values = counts.to_numpy()
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    if classes <= _NAMED:
        axes.set_xticks(range(classes), counts.columns, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), counts.index)
    if classes <= _NUMBERED:
        for row, column in np.ndindex(values.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(values[row, column]), ha="center", va="center", color=color)
    return figure


def watch_features(
    model: keras.Model,
    inputs: np.ndarray,
    folder: str | os.PathLike,
    features: Sequence[tuple[str, Sequence[int] | None]] = (),
    *,
    preprocessing: Preprocessing | None = None,
    overwrite: bool = False,
) -> FeatureEvolution:
    """Return a ``FeatureEvolution`` callback that records the development of features during training.

    Args:
        model: the model that is trained.
        inputs: model inputs on which the features are recorded, such as ``TrainingSetup.sample_inputs``.
        folder: output folder.
        features: pairs (layer, channels), with ``None`` for the first 8 channels; by default the first 8 channels of
            each convolution.
        preprocessing: pixel convention of the inputs.
        overwrite: whether to replace earlier results in the folder.

    Raises:
        ValueError: ``features`` is empty and the model has no convolution.
    """
    convolutions = [path for path, layer in hooks.layers(model) if isinstance(layer, keras.layers.Conv2D)]
    features = list(features) or [(path, None) for path in convolutions]
    if not features:
        raise ValueError(
            f"features must be specified for a model without convolutions, got none for {model.name}. Pass pairs of "
            "layer and channels."
        )
    chosen = {
        layer: list(range(min(8, hooks.channel_count(model, layer) or 8))) if channels is None else list(channels)
        for layer, channels in features
    }
    return FeatureEvolution(folder, inputs, chosen, preprocessing=preprocessing, overwrite=overwrite)
