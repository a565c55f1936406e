"""The picture of a training run: accuracy and loss, an epoch a step."""

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Blue and orange of Okabe & Ito's palette: told apart by colour-blind eyes too.
_TRAIN, _TEST = "#0072B2", "#D55E00"


def draw(history: pd.DataFrame, title: str) -> Figure:
    """Draw the columns ``epoch, loss, accuracy, test_loss, test_accuracy`` as two panels; save with ``savefig``.

    The figure belongs to no window and to no pyplot state.
    """
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for axes, quantity in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(history["epoch"], history[quantity], "o-", color=_TRAIN, label="train (running, dropout on)")
        axes.plot(history["epoch"], history[f"test_{quantity}"], "s-", color=_TEST, label="test (dropout off)")
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy loss" if quantity == "loss" else quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)
        axes.grid(alpha=0.3)
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
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    validated = history[history["val_loss"].notna()]
    left.plot(steps["step"], steps["loss"], color=_TRAIN, alpha=0.35, linewidth=0.8, label="train, each batch")
    width = max(1, len(steps) // 40)
    if width > 1:
        smooth = steps["loss"].rolling(width, center=True, min_periods=1).mean()
        left.plot(steps["step"], smooth, color=_TRAIN, label=f"train, mean of {width} batches")
    left.plot(validated["step"], validated["val_loss"], "s-", color=_TEST, markersize=3, label="validation")
    left.set_ylabel(quantity)
    low, high = steps["loss"].quantile([0.0, 0.99])
    high = max(high, validated["val_loss"].quantile(0.9))
    low = min(low, validated["val_loss"].min())
    if high > low:  # the first batches of an untrained net may be off by far: they are not what is looked for
        left.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    right.plot(validated["step"], validated["val_cc"], "s-", color=_TEST, markersize=3, label="validation")
    right.set_ylabel("CC with the density")
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.set_xlim(0, steps["step"].max() * 1.03)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
