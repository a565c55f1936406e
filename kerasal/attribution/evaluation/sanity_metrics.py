"""Metrics that run the method again: with noise on the inputs, with random weights, and for another class.

A map that has nothing to do with the model passes some of them: one that never changes is insensitive to noise, and a
random one changes with the weights. So these are tests that a method can fail, and no evidence that its maps are right.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from kerasal import hooks
from kerasal.attribution.evaluation.metric import metric
from kerasal.attribution.shuffled_weights import restored_weights, shuffle, shuffled_weights
from kerasal.checks import check_int, check_number

import keras


@metric(reference="Yeh et al. 2019, definition 3.1", better="lower")
def max_sensitivity(subject, explain, *, radius: float = 0.02, samples: int = 10, seed: int = 0):
    """Largest relative change of the map under small noise on the input: 0 if the map does not change.

    Args:
        subject: the model and its inputs.
        explain: the method.
        radius: largest absolute noise, as a share of each input's range (its largest minus its smallest value). The
            noise is uniform.
        samples: number of noisy copies of each input, a positive integer.
        seed: seed of the noise.

    Returns:
        An ``Evaluation`` of the largest Euclidean distances, in units of the norm of the map; NaN for a map of zeros.

    Raises:
        ValueError: the inputs are integers, or an option is out of range.
    """
    check_int("samples", samples)
    check_number("radius", radius, above=0)
    if subject.inputs.dtype.kind in "iu":
        raise ValueError("inputs must be floating point to get noise, got integer tokens.")
    base = subject.base_maps(explain).reshape(len(subject.inputs), -1)
    flat = subject.inputs.reshape(len(subject.inputs), -1)
    ranges = np.ptp(flat, axis=1).reshape(-1, *[1] * (subject.inputs.ndim - 1))
    random = np.random.default_rng(seed)
    largest = np.zeros(len(base))
    for _ in range(samples):
        noise = random.uniform(-radius, radius, subject.inputs.shape) * ranges
        maps = explain((subject.inputs + noise).astype(np.float32)).reshape(base.shape)
        largest = np.maximum(largest, np.linalg.norm(maps - base, axis=1))
    norms = np.linalg.norm(base, axis=1)
    return np.divide(largest, norms, out=np.full(len(base), np.nan), where=norms > 0)


@metric(reference="Adebayo et al. 2018, section 3.1", better="lower", control="edges")
def model_randomization(subject, explain, *, layers: Literal["all", "each"] = "all", seed: int = 0):
    """Rank correlation of the map with that of the same model with random weights: 1 if it ignores the weights.

    The weights of a layer become random by shuffling each of its arrays, which keeps their scale. The absolute values
    of the maps are compared. For the smoothed variant (Hedström et al. 2024), pass ``attribution.smooth(method)``.

    Args:
        subject: the model and its inputs. Its weights are restored at the end, also after an error.
        explain: the method.
        layers: "all", the weights of all layers at once; "each", the mean over a cascade that begins at the output and
            makes the weights of a further layer random in each step.
        seed: seed of the shuffling.

    Returns:
        An ``Evaluation`` of values in -1..1; its verdict compares with the edges of the input, which score 1. With
        "each", ``details["cascade"]`` is the table of ``cascading_randomization``.

    Raises:
        ValueError: the model has no weights that can be shuffled.
    """
    if not any(weight.dtype.startswith(("float", "bfloat")) for weight in subject.model.weights):
        raise ValueError(f"model must have weights that can be shuffled, but {subject.model.name!r} has none.")
    before = np.abs(subject.base_maps(explain))
    if layers == "all":
        with shuffled_weights(subject.model, seed):
            return _correlations(before, np.abs(explain()))
    rows, names = [], []
    with contextlib.closing(_shuffle_layers(subject.model, seed)) as shuffled:
        for name in shuffled:
            rows.append(_correlations(before, np.abs(explain())))
            names.append(name)
    return np.mean(rows, axis=0), {"cascade": _cascade_table(names, np.array(rows))}


@metric(reference="Sixt, Granz & Landgraf 2020, section 4.1", better="lower", control="edges")
def random_logit(subject, explain, *, seed: int = 0):
    """Rank correlation of the map with that of another class, chosen at random: 1 if the map ignores the class.

    The raw values of the maps are compared, with their signs.

    Args:
        subject: the model, its inputs and its classes, as the target.
        explain: the method.
        seed: seed of the choice.

    Returns:
        An ``Evaluation`` of values in -1..1; its verdict compares with the edges of the input, which score 1.

    Raises:
        ValueError: the target is no class, or the model has a single class.
    """
    target = np.asarray(subject.target) if np.ndim(subject.target) < 2 else None
    if target is None or target.dtype.kind not in "iu":
        raise ValueError(f"target must be a class index per image or None, got {subject.target!r}.")
    others = subject.other_classes(np.broadcast_to(target, len(subject.inputs)), seed)
    return _correlations(subject.base_maps(explain), explain(target=others))


def cascading_randomization(
    model: keras.Model, inputs: Any, method: Callable, target=None, *, seed: int = 0, progress: bool = False, **options
) -> pd.DataFrame:
    """Return the similarity of maps before and after the weights become noise, layer by layer from the output down.

    The absolute values of the maps are compared with those of the original maps by Spearman's rank correlation. A
    method whose maps stay the same although the weights are noise does not explain the model (Adebayo et al. 2018). The
    weights are restored at the end, also after an error or an interruption; until then the model must not be used
    elsewhere.

    Args:
        model: any built Keras model with a single input of any rank.
        inputs: model inputs.
        method: a method of ``kerasal.attribution``, or its name.
        target: score to explain, as for the methods; by default the top class under the original weights.
        seed: seed of the shuffling.
        progress: show a progress bar.
        **options: options of the method.

    Returns:
        A table with a row per layer with weights, in the order of their randomization: ``layer`` (its path), and
        ``correlation``, ``lowest`` and ``highest`` (the mean, minimum and maximum over the images).
    """
    shared = {name: options.pop(name) for name in ("output", "logits", "batch_size") if name in options}
    own = {"layers": "each", "random_maps": 0, "seed": seed, "progress": progress}
    result = model_randomization(model, inputs, method, target, method_options=options, **own, **shared)
    return result.details["cascade"]


def rank_correlation(values: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of two maps, or 0 if one of them is constant."""
    first, second = rankdata(values), rankdata(other)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _correlations(maps: np.ndarray, others: np.ndarray) -> list[float]:
    return [rank_correlation(*pair) for pair in zip(maps, others, strict=True)]


def _shuffle_layers(model: keras.Model, seed: int) -> Generator[str]:
    """Shuffle the weights of a further layer, from the output down, and yield its path; restore all at the end."""
    layers = [
        (path, layer)
        for path, layer in hooks.layers(model)
        if isinstance(layer, keras.Layer) and layer.weights and not hooks.layers(layer)
    ]
    random = np.random.default_rng(seed)
    with restored_weights(model):
        for path, layer in reversed(layers):
            shuffle(layer.weights, random)
            yield path


def _cascade_table(names: list[str], values: np.ndarray) -> pd.DataFrame:
    """Return the table of ``cascading_randomization`` from correlations (layers, N)."""
    columns = {"correlation": values.mean(axis=1), "lowest": values.min(axis=1), "highest": values.max(axis=1)}
    return pd.DataFrame({"layer": names, **columns})
