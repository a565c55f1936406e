"""The metrics by name, with their inputs and definitions, and the presets of the benchmarks."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kerasal.metrics.distributions import cc, emd, kld, similarity
from kerasal.metrics.pointwise import information_gain, nss
from kerasal.metrics.roc_areas import auc, auc_judd
from kerasal.metrics.step_areas import auc_borji, auc_shuffled
from kerasal.names import unknown_name_message


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric: its ``function``, its inputs besides the map, its definition in words, and fixed ``options``.

    ``needs`` contains ``"fixations"``, ``"density"``, ``"others"`` (fixations of other images) or ``"baseline"`` (a
    map).
    """

    function: Callable[..., float]
    needs: tuple[str, ...]
    definition: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The definition followed by the options."""
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{self.definition} ({options})" if options else self.definition

    def __call__(self, saliency_map, inputs: Mapping[str, Any], **common) -> float:
        """Return the score of a map; ``inputs`` maps each entry of ``needs`` to its value."""
        options = dict(self.options)
        baseline = options.pop("baseline", "center")
        inputs = inputs if isinstance(baseline, str) else {**inputs, "baseline": baseline}
        return self.function(saliency_map, *(inputs[need] for need in self.needs), **options, **common)


@functools.wraps(auc)
def _auc_against_others(saliency_map, fixations, others, **options) -> float:
    return auc(saliency_map, fixations, negatives=others, **options)


METRICS: dict[str, Metric] = {
    "auc": Metric(auc, ("fixations",), "exact AUC: Mann-Whitney with ties at 1/2, against unfixated pixels"),
    "auc_judd": Metric(auc_judd, ("fixations",), "AUC-Judd (MIT): thresholds at the fixated values, no jitter"),
    "auc_borji": Metric(auc_borji, ("fixations",), "AUC-Borji (MIT): thresholds every .1, exact mean over the draws"),
    "auc_shuffled": Metric(
        auc_shuffled, ("fixations", "others"), "shuffled AUC (MIT): thresholds every .1, exact mean over the draws"
    ),
    "auc_shuffled_exact": Metric(
        _auc_against_others, ("fixations", "others"), "shuffled AUC at every threshold: Mann-Whitney with ties at 1/2"
    ),
    "nss": Metric(nss, ("fixations",), "NSS: mean z-score at the fixations, standard deviation with N - 1"),
    "information_gain": Metric(
        information_gain,
        ("fixations", "baseline"),
        "information gain over the center Gaussian in bits, min-max scaled (MIT)",
    ),
    "cc": Metric(cc, ("density",), "CC: Pearson correlation with the density"),
    "similarity": Metric(similarity, ("density",), "SIM: histogram intersection after min-max scaling (MIT)"),
    "kld": Metric(kld, ("density",), "KL divergence from the density in nats, epsilon 2**-52 (MIT)"),
    "emd": Metric(emd, ("density",), "EMD: Wasserstein-1 in bins of 32 pixels, bicubic shrinking (MIT)"),
}
"""The default definitions, by name."""

_count_all = {"duplicates": True}
PRESETS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "mit": {name: (name, {}) for name in METRICS if name not in ("auc", "auc_shuffled_exact", "emd")},
    "tuebingen": {
        "auc": ("auc", {"negatives": "all", **_count_all}),
        "auc_shuffled_exact": ("auc_shuffled_exact", _count_all),
        "nss": ("nss", {"ddof": 0, **_count_all}),
        "cc": ("cc", {}),
        "similarity": ("similarity", {"normalization": "sum"}),
        "kld": ("kld", {}),
    },
    "salicon": {
        "auc_judd": ("auc_judd", {"jitter": True}),
        "auc_borji": ("auc_borji", {"step": 0.01}),
        "auc_shuffled": ("auc_shuffled", {"step": 0.01}),
        **{name: (name, {}) for name in ("nss", "cc", "similarity", "kld")},
    },
}
"""The (metric, options) of each column of the benchmarks. Scores of two presets are not comparable."""


def resolve_metrics(metrics: str | Iterable[str] | Mapping[str, Any] | None, available: set[str]) -> dict[str, Metric]:
    """Return a dictionary from column to ``Metric`` for the ``metrics`` argument of ``evaluate``.

    ``None`` selects the metrics of the preset ``"mit"`` whose inputs are ``available``; other selections need all of
    their inputs.
    """
    if metrics is None:
        selected = computable_metrics("mit", available)
    elif isinstance(metrics, str) and metrics in PRESETS:
        selected = PRESETS[metrics]
    elif isinstance(metrics, Mapping):
        selected = {
            column: (value, {}) if isinstance(value, str) else tuple(value) for column, value in metrics.items()
        }
    else:
        selected = {name: (name, {}) for name in ([metrics] if isinstance(metrics, str) else metrics)}
    if not selected:
        raise ValueError(f"metrics must have at least one of {', '.join(METRICS)}, got none.")
    resolved = {}
    for column, (name, options) in selected.items():
        if name not in METRICS:
            raise ValueError(unknown_name_message(name, [*METRICS, *PRESETS], "metric"))
        baseline = options.get("baseline", "center") if "baseline" in METRICS[name].needs else "center"
        if isinstance(baseline, str) and baseline != "center":
            raise ValueError(f'metrics: the baseline of {column!r} must be "center" or a map, got {baseline!r}.')
        missing = sorted(set(METRICS[name].needs) - available)
        if missing:
            raise ValueError(f"metrics: {column!r} must have {_SOURCES[missing[0]]}.")
        resolved[column] = dataclasses.replace(METRICS[name], options=dict(options))
    return resolved


def computable_metrics(preset: str, available: set[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the (metric, options) of each column of a preset whose inputs are ``available``."""
    return {c: value for c, value in PRESETS[preset].items() if available.issuperset(METRICS[value[0]].needs)}


_SOURCES = {
    "density": "densities, got none. Pass densities, or sigma to blur the fixations",
    "others": "fixations of other images, got none. Pass other_fixations, or several images",
}
