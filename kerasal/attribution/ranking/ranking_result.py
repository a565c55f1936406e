"""``Ranking``: the order of methods with intervals, what does not beat a random map, and suggested options."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from kerasal.attribution.evaluation import FEWEST_IMAGES, Evaluation, metric_spec
from kerasal.attribution.evaluation.judgment import known_mean
from kerasal.attribution.ranking.ranking_pages import draw_html, draw_sheet
from kerasal.metrics import summarize

CONTROL_ROWS = {"random": "random map", "center": "center", "edges": "edges of the image"}
"""The rows of the controls in an order of methods, by control."""

ALIKE = 0.9
"""The rank correlation above which the maps of two classes are called nearly the same."""

_RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True, repr=False)
class Ranking:
    """Attribution methods in the order of their metrics.

    For each image and metric, the methods and the controls are ranked from 1, the best; the mean over the metrics is
    the rank of a method on the image, and the mean over the images orders the methods. Metrics of different units count
    alike. Tests that every map passes that has nothing to do with the input (``MetricSpec.control`` is "edges") do not
    count in the order.

    Attributes:
        order: a row per method and control, the best first: ``mean_rank``, ``low`` and ``high`` (its 95 % bootstrap
            interval over images), ``against_random`` (the verdict on the mean rank), ``seconds`` per image, and the
            mean of each metric. Verdicts hold for all methods together: an interval of 1 - .05 / methods each.
        ranks: a row per image and a column per method and control: the mean rank over the metrics.
        evaluations: ``{method: {metric: Evaluation}}``.
        suggestions: a row per method and option that was tried: ``option``, ``value``, ``share`` of images and metrics
            on which it is better than the default, on the half that did not choose it, ``low`` and ``high``, ``holds``.
        left_out: (name, reason) for each method that does not work on the model.
        images: number of images.
        notes: sentences for the user, such as those on reused results.
    """

    order: pd.DataFrame
    ranks: pd.DataFrame
    evaluations: Mapping[str, Mapping[str, Evaluation]]
    suggestions: pd.DataFrame
    left_out: Sequence[tuple[str, str]]
    images: int
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"<Ranking of {len(self.methods)} methods on {self.images} images>\n{self.order.round(3).to_string()}"

    @property
    def methods(self) -> list[str]:
        """The methods in their order, the best first, without the controls."""
        return [name for name in self.order.index if name in self.evaluations]

    @property
    def metrics(self) -> list[str]:
        """The metrics, those that order methods first."""
        names = list(dict.fromkeys(name for rows in self.evaluations.values() for name in rows))
        return sorted(names, key=lambda name: name not in self.order)

    @property
    def conclusions(self) -> list[str]:
        """What follows from the ranking, as sentences."""
        return conclude(self)

    @property
    def checks(self) -> pd.DataFrame:
        """A row per method and sanity test: ``metric``, ``mean``, ``edges`` (what fails the test) and ``verdict``."""
        rows = [
            (method, name, result.mean, float(known_mean(result.controls["edges"])), result.verdict)
            for method in self.methods
            for name, result in self.evaluations[method].items()
            if result.reference == "edges" and "edges" in result.controls
        ]
        return pd.DataFrame(rows, columns=["method", "metric", "mean", "edges", "verdict"])

    @property
    def not_better(self) -> list[str]:
        """The methods whose mean rank is not better than that of a random map of their smoothness."""
        return [name for name in self.methods if self.order.loc[name, "against_random"] != "better than random"]

    def html(self, title: str, *, facts: Sequence[str] = ()) -> str:
        """Return a self-contained HTML page: the order with intervals, the metrics, tests and suggestions."""
        return draw_html(self, title, facts)

    def sheet(self, title: str, *, facts: Sequence[str] = ()) -> np.ndarray:
        """Return the order and the metrics as an image, uint8 RGB."""
        return draw_sheet(self, title, facts)


def rank_images(evaluations: Mapping[str, Mapping[str, Evaluation]]) -> pd.DataFrame:
    """Return the mean rank over the metrics for each image (row) and each method and control (column)."""
    values = _values_by_row(evaluations)
    metrics = _ordering_metrics(evaluations)
    ranks: dict[str, list] = {name: [] for name in values}
    for metric in metrics:
        rows = [name for name in values if metric in values[name]]
        sign = -1 if metric_spec(metric).better == "higher" else 1
        placed = rank_columns(sign * np.stack([values[name][metric] for name in rows]))
        for name, row in zip(rows, placed, strict=True):
            ranks[name].append(row)
    return pd.DataFrame({name: known_mean(rows, axis=0) for name, rows in ranks.items()})


def order_methods(
    evaluations: Mapping[str, Mapping[str, Evaluation]], ranks: pd.DataFrame, seconds: Mapping[str, float]
) -> pd.DataFrame:
    """Return the table ``Ranking.order`` from the evaluations of methods by the same metrics and ``rank_images``."""
    values = _values_by_row(evaluations)
    summary = summarize(ranks, resamples=_RESAMPLES)
    table = pd.DataFrame({"mean_rank": summary["mean"], "low": summary["low"], "high": summary["high"]})
    if len(ranks) < 2:
        table[["low", "high"]] = np.nan
    control = CONTROL_ROWS["random"]
    against = {name: compare_ranks(ranks, name, control, len(evaluations)) for name in ranks if name != control}
    table["against_random"] = [against.get(str(name), "") for name in table.index]
    table["seconds"] = [seconds.get(str(name), np.nan) for name in table.index]
    for metric in _ordering_metrics(evaluations):
        means = {name: parts[metric] for name, parts in values.items() if metric in parts}
        table[metric] = [known_mean(means[name]) if name in means else np.nan for name in table.index]
    table.index.name = "method"
    return table.sort_values("mean_rank", kind="stable")


def _ordering_metrics(evaluations: Mapping[str, Mapping[str, Evaluation]]) -> list[str]:
    names = next(iter(evaluations.values()))
    return [name for name in names if metric_spec(name).control == "random" and metric_spec(name).better]


def _values_by_row(evaluations: Mapping[str, Mapping[str, Evaluation]]) -> dict[str, dict[str, np.ndarray]]:
    """Return the values of methods and controls by metric; those of a random map are means over the methods."""
    values: dict[str, dict[str, np.ndarray]] = {name: {} for name in evaluations}
    for metric in _ordering_metrics(evaluations):
        results = {name: rows[metric] for name, rows in evaluations.items()}
        for name, result in results.items():
            values[name][metric] = result.values
        for control in next(iter(results.values())).controls:
            parts = [result.controls[control] for result in results.values() if control in result.controls]
            values.setdefault(CONTROL_ROWS[control], {})[metric] = np.mean(parts, axis=0)
    return values


def compare_ranks(ranks: pd.DataFrame, name: str, other: str, comparisons: int) -> str:
    """Return the verdict on the ranks of a row against those of another, for several comparisons together.

    It is "better than random" and so on, as of an ``Evaluation``, with the name of the other row in place of a control.
    """
    key = next((control for control, row in CONTROL_ROWS.items() if row == other), other)
    result = Evaluation("rank", "lower", ranks[name].to_numpy(), {key: ranks[other].to_numpy()})
    return result.verdict_against(key, confidence=1 - 0.05 / max(1, comparisons))


def rank_columns(values: np.ndarray) -> np.ndarray:
    """Return the ranks in each column, from 1 for the smallest value; equal values share a rank, NaN has none."""
    ranks = np.full(values.shape, np.nan)
    for column, known in enumerate(np.isfinite(values).T):
        ranks[known, column] = rankdata(values[known, column])
    return ranks


def conclude(ranking: Ranking) -> list[str]:
    """Return what follows from a ranking, as sentences."""
    order, methods = ranking.order, ranking.methods
    if ranking.images < FEWEST_IMAGES:
        return [f"Verdicts need {FEWEST_IMAGES} images or more, got {ranking.images}."]
    first, count = str(order.index[0]), len(methods)
    equal = [name for name in order.index[1:] if not _is_better(ranking.ranks, first, str(name), len(order) - 1)]
    if equal:
        sentences = [f"{first} has the best mean rank, and is not distinguishable from {', '.join(map(str, equal))}."]
    else:
        sentences = [f"{first} has the best mean rank, and is better than all others."]
    if ranking.not_better:
        sentences.append(f"Not better than a random map of the same smoothness: {', '.join(ranking.not_better)}.")
    else:
        sentences.append("All methods are better than a random map of the same smoothness.")
    for row in (row for control, row in CONTROL_ROWS.items() if control != "random" and row in order.index):
        behind = [name for name in methods if not _is_better(ranking.ranks, name, row, count)]
        if behind:
            sentences.append(f"Not better than the {row}: {', '.join(behind)}.")
    failed = ranking.checks[ranking.checks["verdict"] != "better than edges"]
    for metric, rows in failed.groupby("metric", sort=False):
        what = {"random_logit": "class", "model_randomization": "weights"}.get(str(metric), str(metric))
        sentences.append(f"Not shown to depend on the {what}: {', '.join(rows['method'])}.")
    alike = ranking.checks[(ranking.checks["metric"] == "random_logit") & (ranking.checks["mean"] > ALIKE)]
    if len(alike):
        pairs = zip(alike["method"], alike["mean"], strict=True)
        listed = ", ".join(f"{name} ({correlation:.2f})" for name, correlation in pairs)
        sentences.append(f"Nearly the same map for another class, by rank correlation: {listed}.")
    for row in ranking.suggestions.to_dict("records"):
        if not row["holds"]:
            continue
        share = f"{100 * row['share']:.0f} % of the half that did not choose it"
        sentences.append(f"Suggested: {row['method']} with {row['option']}={row['value']}, better on {share}.")
    return sentences


def _is_better(ranks: pd.DataFrame, name: str, other: str, comparisons: int) -> bool:
    return compare_ranks(ranks, name, other, comparisons).startswith("better")
