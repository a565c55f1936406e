"""In which order layers converge: similarities of epochs to the last one, and tables for ``feature_evolution.py``."""

import itertools

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

MEASURES = ("responses", "exemplars", "weights")


def cosine(first, second):
    norm = np.linalg.norm(first) * np.linalg.norm(second)
    return float((first * second).sum() / norm) if norm else 0.0


def similarities(states, layer):
    """Return {measure: similarity of each stored epoch to the last one} of a layer; epoch 0 is the first."""
    epochs = sorted(states)
    start, last = (states[epoch][layer] for epoch in (epochs[0], epochs[-1]))
    alive = ~last["dead"]
    rows = [states[epoch][layer] for epoch in epochs]
    return {
        "responses": [cosine(row["products"], last["products"]) for row in rows],
        "exemplars": [
            float((row["strongest"] == last["strongest"])[alive].sum() / max(1, alive.sum())) for row in rows
        ],
        "weights": [cosine(row["kernel"] - start["kernel"], last["kernel"] - start["kernel"]) for row in rows],
    }


def convergence_epoch(epochs, values, criterion):
    """Return the first epoch at which a similarity reaches its threshold for good; NaN for a dead layer."""
    values = np.asarray(values, np.float64)
    if not values[-1] > 0 or (criterion == "way" and not values[-1] > values[0]):
        return float("nan")
    threshold = 0.9 * values[-1] if criterion == "level" else values[0] + 0.9 * (values[-1] - values[0])
    below = np.flatnonzero(values < threshold)
    if not below.size:
        return float(epochs[0])
    pair = slice(below[-1], below[-1] + 2)
    return float(2 ** np.interp(threshold, values[pair], np.log2(1 + np.asarray(epochs, np.float64))[pair]) - 1)


def interval(values):
    """Return the geometric mean of factors, with its 95 % interval over the seeds; infinite for a single seed."""
    logs = np.log2(values)
    spread = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.inf
    return tuple(float(2**value) for value in (logs.mean(), logs.mean() - spread, logs.mean() + spread))


def verdict(low, high):
    return "lower layers first" if low > 1 else "upper layers first" if high < 1 else "no order"


def print_tables(results, layers, epochs, filters):
    """Print accuracies, epochs of convergence and similarities of ``{(variant, seed): result}``."""
    console = Console(width=150)
    stored = [0, *epochs]
    models = Table("variant", "seeds", "training", "test", *layers, title="Accuracy, and dead channels by layer (mean)")
    columns = ("variant", "similarity", "criterion", *layers, "1 + epoch, layer 4 / layer 1 [95 %]", "verdict")
    order = Table(*columns, title="Epoch of convergence (mean over the seeds)")
    columns = ("variant", "similarity", "layer", *map(str, stored))
    ways = Table(*columns, title="Similarity to the last epoch, mean over the seeds")
    for variant in dict.fromkeys(name for name, _ in results):
        runs = [result for (name, _), result in results.items() if name == variant]
        means = [f"{np.mean([run[key] for run in runs]):.3f}" for key in ("training", "accuracy")]
        dead = [
            f"{np.mean([run['dead'][layer] for run in runs]):.1f} of {count}"
            for layer, count in zip(layers, filters, strict=True)
        ]
        models.add_row(variant, str(len(runs)), *means, *dead)
        for measure, criterion in itertools.product(MEASURES, ("level", "way")):
            values = np.array(
                [
                    [convergence_epoch(stored, run["similarities"][layer][measure], criterion) for layer in layers]
                    for run in runs
                ]
            )
            cells = [f"{np.nanmean(column):.1f}" if np.isfinite(column).any() else "–" for column in values.T]
            both = values[np.isfinite(values[:, [0, 3]]).all(axis=1)]
            if len(both):
                factor, low, high = interval((1 + both[:, 3]) / (1 + both[:, 0]))
                cells += [f"{factor:.2f} [{low:.2f}, {high:.2f}]", verdict(low, high)]
            order.add_row(variant, measure, criterion, *cells)
        for measure, layer in itertools.product(MEASURES, layers):
            mean = np.mean([run["similarities"][layer][measure] for run in runs], axis=0)
            ways.add_row(variant, measure, layer, *[f"{value:.2f}" for value in mean])
    for table in (models, order, ways):
        console.print(table)
