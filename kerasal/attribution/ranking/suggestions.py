"""Options that are better than the defaults, chosen on half of the images and reported on the other half."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from kerasal import hooks
from kerasal.attribution.evaluation import FEWEST_IMAGES, metric_spec
from kerasal.attribution.evaluation.judgment import known_mean
from kerasal.attribution.method import method_spec
from kerasal.attribution.ranking.measurement import Measurements
from kerasal.metrics import summarize

import keras

NOISES, STEPS = (0.05, 0.1, 0.3), (16, 100)
"""Values of ``noise`` and ``steps`` that are tried beside the defaults."""

_LAYERS = 3  # stages of a network, by the size of their maps, whose last layer is tried
COLUMNS = ["method", "option", "value", "default", "share", "low", "high", "holds"]


def candidates(model: keras.Model, method: str, options: Mapping[str, Any], default_layer: str | None) -> list[dict]:
    """Return options to try for a method: one of ``layer``, ``noise`` and ``steps`` each."""
    spec = method_spec(method)
    if spec.family == "cam" and "layer" in spec.options and options.get("layer") is None:
        return [{"layer": path} for path in stage_layers(model) if path != default_layer]
    for name, values in (("noise", NOISES), ("steps", STEPS)):
        if name in spec.options:
            usual = options.get(name, spec.options[name].default)
            return [{name: value} for value in values if value != usual]
    return []


def stage_layers(model: keras.Model) -> list[str]:
    """Return the last layer of each of the last stages of a network: the layers before the maps become smaller.

    A stage is a run of layers whose outputs have the same positions. Layers without a known output shape are left out.
    """
    rank = len(model.inputs[0].shape) if getattr(model, "inputs", None) else 0
    stages: dict[tuple, str] = {}
    for path, layer in hooks.layers(model):
        try:
            shape = tuple(keras.tree.flatten(layer.output)[0].shape)
        except (AttributeError, ValueError):  # a layer of a nested or subclassed model, or one that runs several times
            continue
        if len(shape) == rank > 2 and None not in shape[1:] and not isinstance(layer, keras.layers.InputLayer):
            channels = 1 if getattr(layer, "data_format", "") == "channels_first" else -1
            grid = tuple(np.delete(shape[1:], channels - 1 if channels > 0 else -1))
            if min(grid) > 1:
                stages.pop(grid, None)
                stages[grid] = path
    return list(stages.values())[-_LAYERS:]


def suggest(
    measure_half: Callable[[np.ndarray], Measurements],
    model: keras.Model,
    methods: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, Mapping[str, np.ndarray]],
    layers: Mapping[str, str | None],
    images: int,
    seed: int,
    advance: Callable[[int], None],
) -> pd.DataFrame:
    """Return the table of ``Ranking.suggestions``.

    Args:
        measure_half: returns the measurements of the images with these numbers.
        model: the model.
        methods: ``{method: options}`` of the methods that work.
        known: the values of each method with its own options, ``{method: {metric: (N,)}}``.
        layers: the layer of each class activation map, None for other methods.
        images: the number of images.
        seed: seed of the halves.
        advance: called for each method.
    """
    order = np.random.default_rng(seed).permutation(images)
    chosen_on, reported_on = np.sort(order[: images // 2]), np.sort(order[images // 2 :])
    first, second = measure_half(chosen_on), measure_half(reported_on)
    rows = []
    for method, options in methods.items():
        best, best_share = None, 0.5
        for tried in candidates(model, method, options, layers.get(method)):
            share = _share_better(first, method, {**options, **tried}, known[method], chosen_on)
            if share is not None and known_mean(share) > best_share:
                best, best_share = tried, float(known_mean(share))
        if best is not None:
            (name, value), *_ = best.items()
            usual = options.get(name, method_spec(method).options[name].default)
            usual = layers.get(method) if name == "layer" else usual
            shares = _share_better(second, method, {**options, **best}, known[method], reported_on)
            row = summarize(pd.DataFrame({"": shares}), resamples=10_000).iloc[0]
            holds = len(reported_on) >= FEWEST_IMAGES and row["low"] > 0.5
            rows.append((method, name, value, usual, row["mean"], row["low"], row["high"], holds))
        advance(1)
    return pd.DataFrame(rows, columns=COLUMNS)


def _share_better(half: Measurements, method: str, options, known, numbers: np.ndarray) -> np.ndarray | None:
    """Return for each image the share of metrics on which these options are better; None if they do not work."""
    try:
        rows = half.measure(method, options, with_controls=False)["metrics"]
    except ValueError:
        return None
    wins = []
    for metric, row in rows.items():
        sign = 1 if metric_spec(metric).better == "higher" else -1
        difference = sign * (np.array(row["values"], float) - known[metric][numbers])
        wins.append(np.where(np.isfinite(difference), (np.sign(difference) + 1) / 2, np.nan))
    return known_mean(wins, axis=0)
