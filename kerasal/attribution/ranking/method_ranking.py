"""``rank``: measure methods by metrics on a model and images, with a journal, and order them."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal._version import __version__
from kerasal.attribution.evaluation import FEWEST_IMAGES, Scorer, list_metrics, metric_spec
from kerasal.attribution.method import list_methods, method_spec
from kerasal.attribution.method_comparison import QUICK
from kerasal.attribution.ranking.measurement import Measurements, read_evaluation
from kerasal.attribution.ranking.ranking_result import Ranking, order_methods, rank_images
from kerasal.attribution.ranking.suggestions import COLUMNS, suggest
from kerasal.checks import check_int
from kerasal.digests import digest
from kerasal.progress import progress_bar
from kerasal.row_journal import RowJournal

import keras

RANK_METRICS: Mapping[str, Mapping[str, Any]] = {
    "deletion": {"steps": 20},
    "insertion": {"steps": 20},
    "mu_fidelity": {"samples": 100},
    "random_logit": {},
}
"""The metrics of ``rank`` with their options: three that order methods, and a test whether maps depend on the class."""


MANY_PASSES = ("drise", "hsic", "kernel_shap", "lime", "rise", "sobol")
"""Methods that need hundreds of passes per image, and are ranked only if they are named."""


def rank(
    model: keras.Model,
    inputs: Any,
    target: Any = None,
    *,
    methods: str | Sequence[str] | Mapping[str, Mapping[str, Any]] = "chosen",
    metrics: str | Sequence[str] | Mapping[str, Mapping[str, Any]] = RANK_METRICS,
    truth: Any = None,
    suggest_options: bool = True,
    random_maps: int = 1,
    seed: int = 0,
    output: str | int | None = None,
    batch_size: int | None = None,
    resume_beside: str | os.PathLike | None = None,
    progress: bool = False,
) -> Ranking:
    """Return attribution methods in the order of metrics on a model and images, with intervals over the images.

    Every metric is computed for each method, for random maps of the same smoothness, the center and the edges, which
    are ranked with the methods. No forward pass is run twice for two metrics or methods that share it. Methods that do
    not work on the model are left out with the reason.

    Args:
        model: any built Keras model with a single input.
        inputs: model inputs (N, …), as for the methods; verdicts need ten or more, and suggestions twenty.
        target: score to explain and to measure, as for the methods; by default each image's top class. Maps explain the
            score before the softmax, and metrics measure the probability.
        methods: "chosen", one or two of each kind (``MethodSpec.compared``) without those of hundreds of passes per
            image (``MANY_PASSES``); "all"; names; or ``{method: options}``.
            Methods of many passes run with fewer than by default (``method_comparison.QUICK``) unless options are
            passed.
        metrics: names of metrics (``evaluation.list_metrics()``) or ``{metric: options}``.
        truth: masks or boxes of the objects, for metrics of places.
        suggest_options: try other layers of class activation maps, and other ``noise`` and ``steps``, on half of the
            images, and report the best on the other half.
        random_maps: number of random maps per image and method, a positive integer.
        seed: seed of the random maps, of what metrics draw, and of the halves.
        output: name or position of the output to explain, for a model with several outputs.
        batch_size: number of images run at once; by default the fastest number.
        resume_beside: path of the page or table that is made from the result; an interrupted run with the same
            arguments continues from a hidden file beside it, which is removed at the end.
        progress: show a progress bar.

    Returns:
        A ``Ranking``: ``order`` is the table, ``conclusions`` what follows from it, ``html`` and ``sheet`` a page.

    Raises:
        ValueError: an unknown method or metric; a metric of places without ``truth``; no metric that orders methods; no
            method works on the model (the error has the first reason); or the inputs do not fit.
    """
    names = _read_methods(methods)
    settings = _read_metrics(metrics, truth)
    check_int("random_maps", random_maps)
    shared = {"output": output, "batch_size": batch_size}
    scorer = Scorer(model, inputs, target, **shared)
    scorer.clean  # noqa: B018  a target that does not fit is an error before any method runs
    drawn = {"random_maps": random_maps, "seed": seed, **shared}
    measurements = Measurements(scorer, settings, truth=truth, **drawn)
    header = {
        "version": __version__,
        "data": digest(hooks.digest_model(model), scorer.inputs, str(scorer.target), truth, settings, drawn),
    }
    journal = RowJournal(resume_beside, header, {name: digest(name, names[name]) for name in names}, noun="methods")
    left_out: list[tuple[str, str]] = []
    with progress_bar("Ranking", len(names) * (1 + suggest_options), progress) as advance:
        advance(len(names) - len(journal.missing))
        with journal.open_appender() as add:
            for name in journal.missing:
                try:
                    subject, seconds = measurements.explain(name, names[name])
                except ValueError as error:
                    left_out.append((name, str(error)))
                else:
                    add(name, {"seconds": seconds, **measurements.measure(subject), "error": None})
                advance(1)
        rows = {name: journal.rows[name] for name in names if name in journal.rows}
        if not rows:
            raise ValueError(f"No method works on {model.name!r}. {left_out[0][0]}: {left_out[0][1]}")
        evaluations = {
            name: {metric: read_evaluation(metric, part) for metric, part in row["metrics"].items()}
            for name, row in rows.items()
        }
        layers = {name: row["layer"] for name, row in rows.items()}
        suggestions = pd.DataFrame(columns=COLUMNS)
        if suggest_options and len(scorer.inputs) >= 2 * FEWEST_IMAGES:
            suggestions = _try_options(measurements, model, names, evaluations, layers, truth, drawn, advance)
    journal.remove()
    ranks = rank_images(evaluations)
    order = order_methods(evaluations, ranks, {name: row["seconds"] for name, row in rows.items()})
    reasons = {f"{name} was not computed. {text}" for row in rows.values() for name, text in row["skipped"].items()}
    notes = [*journal.notes, *sorted(reasons)]
    if suggest_options and len(scorer.inputs) < 2 * FEWEST_IMAGES:
        notes.append(f"Suggestions of options need {2 * FEWEST_IMAGES} images or more, half of which choose.")
    return Ranking(order, ranks, evaluations, suggestions, left_out, len(scorer.inputs), notes)


def _try_options(measurements, model, names, evaluations, layers, truth, drawn, advance) -> pd.DataFrame:
    """Return the suggested options, by the metrics that order methods."""
    scorer = measurements.scorer
    counted = {name: options for name, options in measurements.metrics.items() if _orders(name)}
    masks = None if truth is None else measurements.truth

    def measure_half(numbers: np.ndarray) -> Measurements:
        target = scorer.target[numbers] if np.ndim(scorer.target) else scorer.target
        settings = {"output": drawn["output"], "batch_size": drawn["batch_size"]}
        half = Scorer(model, scorer.inputs[numbers], target, **settings)
        return Measurements(half, counted, truth=None if masks is None else masks[numbers], **drawn)

    known = {name: {metric: results[metric].values for metric in counted} for name, results in evaluations.items()}
    methods = {name: names[name] for name in evaluations}
    return suggest(measure_half, model, methods, known, layers, len(scorer.inputs), drawn["seed"], advance)


def _read_methods(methods: Any) -> dict[str, dict[str, Any]]:
    """Return ``{method: options}``; raise a ValueError for an unknown name."""
    if isinstance(methods, str):
        if methods not in ("chosen", "all"):
            raise ValueError(f'methods must be "chosen", "all", names or {{method: options}}, got {methods!r}.')
        names = [name for name in list_methods() if not method_spec(name).any_size]  # which cuts crops of larger images
        methods = names if methods == "all" else [name for name in names if _is_chosen(name)]
    if not methods:
        raise ValueError("methods must hold at least one name, got none.")
    given = methods if isinstance(methods, Mapping) else {name: {} for name in methods}
    return {method_spec(name).name: dict(QUICK.get(name, {})) | dict(options) for name, options in given.items()}


def _is_chosen(name: str) -> bool:
    """Return whether a method is compared by default and needs no hundreds of passes per image."""
    return method_spec(name).compared and name not in MANY_PASSES


def _read_metrics(metrics: Any, truth: Any) -> dict[str, dict[str, Any]]:
    """Return ``{metric: options}``; raise a ValueError for an unknown name or a metric that lacks the truth."""
    metrics = [metrics] if isinstance(metrics, str) else metrics
    given = metrics if isinstance(metrics, Mapping) else {name: RANK_METRICS.get(name, {}) for name in metrics}
    settings = {metric_spec(name).name: dict(options) for name, options in given.items()}
    for name, options in settings.items():
        if metric_spec(name).uses == "truth" and truth is None:
            raise ValueError(f"truth must be passed for {name}: masks or boxes of the objects, got None.")
        for option in options:
            if option not in metric_spec(name).options:
                raise ValueError(f"metrics must name options of {name}, got {option!r}.")
    if not any(map(_orders, settings)):
        known = ", ".join(name for name in list_metrics() if _orders(name))
        raise ValueError(f"metrics must hold at least one that orders methods, such as {known}, got {list(settings)}.")
    return settings


def _orders(metric: str) -> bool:
    return bool(metric_spec(metric).better) and metric_spec(metric).control == "random"
