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
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right" if quantity == "accuracy" else "upper right")
    return figure
