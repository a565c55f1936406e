"""Pictures of a training run: its curves, which class is taken for which, and how features come about."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasal import hooks
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field import FeatureEvolution

import keras

# Blue and orange of Okabe & Ito's palette: told apart by color-blind eyes too.
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
    """Draw the columns ``epoch, loss, accuracy, test_loss, test_accuracy`` as two panels; save with ``savefig``.

    The figure belongs to no window and to no pyplot state.
    """
    figure, panels = _draw_panels(title)
    for axes, quantity in zip(panels, ("accuracy", "loss"), strict=True):
        axes.plot(history["epoch"], history[quantity], "o-", color=_TRAIN, label="train (running, dropout on)")
        axes.plot(history["epoch"], history[f"test_{quantity}"], "s-", color=_TEST, label="test (dropout off)")
        axes.set(xlabel="epoch", ylabel="cross-entropy loss" if quantity == "loss" else quantity)
        axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
        axes.legend(loc="best")
    return figure


def draw_steps(steps: pd.DataFrame, history: pd.DataFrame, quantity: str, title: str) -> Figure:
    """Draw the loss of every batch and of the validations over one axis of steps, and the validation CC beside it.

    Args:
        steps: columns ``step, loss``.
        history: columns ``step, val_loss, val_cc``; NaN where there was no validation.
        quantity: what the loss is.
        title: above both.
    """
    figure, (left, right) = _draw_panels(title, width_ratios=(3, 2))
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
    if high > low:  # the first batches of an untrained net may be off by far: they are not what is looked for
        left.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    right.plot(validated["step"], validated["val_cc"], "s-", color=_TEST, markersize=3, label="validation")
    right.set_ylabel("CC with the density")
    for axes in (left, right):
        axes.set(xlabel="step", xlim=(0, steps["step"].max() * 1.03))
        axes.legend()
    return figure


_NUMBERED, _NAMED = 25, 60  # classes up to which cells carry their counts, and axes their names


def count_confusion(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Count images: a row for each true class, a column for each predicted one."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (labels, predicted), 1)
    return pd.DataFrame(counts, index=pd.Index(names, name="true class"), columns=list(names))


def draw_confusion(counts: pd.DataFrame, title: str) -> Figure:
    """Draw a table of ``count_confusion``: colors are shares of each row, numbers images; save with ``savefig``."""
    classes = len(counts)
    side = min(4.0 + 0.45 * classes, 14.0)
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    axes = figure.subplots()
    values = counts.to_numpy()
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.8)
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
    """Return a callback that watches features come about in a training, on the images of ``inputs``.

    Args:
        model: that is trained.
        inputs: see ``TrainingSetup.sample_inputs``.
        folder: in which they are stored.
        features: (layer, channels) each, None for the first 8; by default those of each convolution.
        preprocessing: of the inputs.
        overwrite: replace what the folder holds.

    Raises:
        ValueError: no features were given, and the model has no convolution.
    """
    convolutions = [path for path, layer in hooks.layers(model) if isinstance(layer, keras.layers.Conv2D)]
    features = list(features) or [(path, None) for path in convolutions]
    if not features:
        raise ValueError(f"{model.name} has no convolution to watch. Name features, as layer and channels.")
    chosen = {
        layer: list(range(min(8, hooks.channel_count(model, layer) or 8))) if channels is None else list(channels)
        for layer, channels in features
    }
    return FeatureEvolution(folder, inputs, chosen, preprocessing=preprocessing, overwrite=overwrite)
