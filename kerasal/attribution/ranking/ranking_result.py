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


@dataclasses.dataclass(frozen=True)
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
        evaluations: ``{method: {metric: Evaluation}}``.
        suggestions: a row per method and option that was tried: ``option``, ``value``, ``share`` of images and metrics
            on which it is better than the default, on the half that did not choose it, ``low`` and ``high``, ``holds``.
        left_out: (name, reason) for each method that does not work on the model.
        images: number of images.
        notes: sentences for the user, such as those on reused results.
    """

    order: pd.DataFrame
    evaluations: Mapping[str, Mapping[str, Evaluation]]
    suggestions: pd.DataFrame
    left_out: Sequence[tuple[str, str]]
    images: int
    notes: Sequence[str] = ()

    @property
    def methods(self) -> list[str]:
        """The methods in their order, the best first, without the controls."""
        return [name for name in self.order.index if name in self.evaluations]

    @property
    def metrics(self) -> list[str]:
        """The metrics, those that order methods first."""
        names = list(next(iter(self.evaluations.values())))
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


def order_methods(evaluations: Mapping[str, Mapping[str, Evaluation]], seconds: Mapping[str, float]) -> pd.DataFrame:
    """Return the table ``Ranking.order`` from the evaluations of methods by the same metrics."""
    names = list(evaluations)
    metrics = [name for name in next(iter(evaluations.values())) if metric_spec(name).control == "random"]
    metrics = [name for name in metrics if metric_spec(name).better]
    values: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    for metric in metrics:
        results = {name: evaluations[name][metric] for name in names}
        for name, result in results.items():
            values[name][metric] = result.values
        for control in next(iter(results.values())).controls:
            parts = [result.controls[control] for result in results.values() if control in result.controls]
            values.setdefault(CONTROL_ROWS[control], {})[metric] = np.mean(parts, axis=0)
    ranks = {name: [] for name in values}
    for metric in metrics:
        rows = [name for name in values if metric in values[name]]
        sign = -1 if metric_spec(metric).better == "higher" else 1
        placed = rank_columns(sign * np.stack([values[name][metric] for name in rows]))
        for name, row in zip(rows, placed, strict=True):
            ranks[name].append(row)
    per_image = pd.DataFrame({name: known_mean(rows, axis=0) for name, rows in ranks.items()})
    summary = summarize(per_image, resamples=_RESAMPLES)
    table = pd.DataFrame({"mean_rank": summary["mean"], "low": summary["low"], "high": summary["high"]})
    table["against_random"] = [_verdict(per_image, name, len(names)) for name in table.index]
    table["seconds"] = [seconds.get(name, np.nan) for name in table.index]
    for metric in metrics:
        means = {name: parts[metric] for name, parts in values.items() if metric in parts}
        table[metric] = [known_mean(means[name]) if name in means else np.nan for name in table.index]
    table.index.name = "method"
    return table.sort_values("mean_rank", kind="stable")


def rank_columns(values: np.ndarray) -> np.ndarray:
    """Return the ranks in each column, from 1 for the smallest value; equal values share a rank, NaN has none."""
    ranks = np.full(values.shape, np.nan)
    for column, known in enumerate(np.isfinite(values).T):
        ranks[known, column] = rankdata(values[known, column])
    return ranks


def _verdict(per_image: pd.DataFrame, name: str, methods: int) -> str:
    """Return the verdict on the mean rank of a method against that of a random map, for all methods together."""
    control = CONTROL_ROWS["random"]
    if name == control or control not in per_image:
        return ""
    result = Evaluation("rank", "lower", per_image[name].to_numpy(), {"random": per_image[control].to_numpy()})
    return result.verdict_against("random", confidence=1 - 0.05 / methods)


def conclude(ranking: Ranking) -> list[str]:
    """Return what follows from a ranking, as sentences."""
    order, methods = ranking.order, ranking.methods
    if ranking.images < FEWEST_IMAGES:
        return [f"{ranking.images} images are too few for a verdict. Score {FEWEST_IMAGES} or more."]
    first = methods[0]
    ties = [name for name in methods[1:] if order.loc[name, "low"] <= order.loc[first, "high"]]
    sentences = [
        f"{first} has the best mean rank" + (f"; the intervals of {', '.join(ties)} reach it." if ties else ".")
    ]
    if ranking.not_better:
        sentences.append(f"Not better than a random map of the same smoothness: {', '.join(ranking.not_better)}.")
    else:
        sentences.append("All methods are better than a random map of the same smoothness.")
    trivial = [row for control, row in CONTROL_ROWS.items() if control != "random" and row in order.index]
    for row in trivial:
        behind = [name for name in methods if order.loc[name, "mean_rank"] > order.loc[row, "mean_rank"]]
        if behind:
            sentences.append(f"Behind the {row}, a control without knowledge of the model: {', '.join(behind)}.")
    failed = ranking.checks[ranking.checks["verdict"] != "better than edges"]
    for metric, rows in failed.groupby("metric", sort=False):
        what = {"random_logit": "class", "model_randomization": "weights"}.get(str(metric), str(metric))
        sentences.append(f"Not shown to depend on the {what}: {', '.join(rows['method'])}.")
    alike = ranking.checks[(ranking.checks["metric"] == "random_logit") & (ranking.checks["mean"] > ALIKE)]
    if len(alike):
        pairs = zip(alike["method"], alike["mean"], strict=True)
        listed = ", ".join(f"{name} ({correlation:.2f})" for name, correlation in pairs)
        sentences.append(f"Nearly the same map for another class, by rank correlation: {listed}.")
    return sentences
