"""The metrics by name: what each needs, the exact definition that a table must name, and the benchmarks' presets."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kerasal.metrics.distributions import cc, emd, kld, similarity
from kerasal.metrics.pointwise import information_gain, nss
from kerasal.metrics.roc_areas import auc, auc_judd
from kerasal.metrics.stepped import auc_borji, auc_shuffled
from kerasal.names import unknown_name_message


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric: its ``function``, what it ``needs`` besides the map, its definition in words, and fixed ``options``.

    ``needs`` is among ``"fixations"``, ``"density"``, ``"others"`` (fixations of other images) and ``"baseline"`` (a
    map).
    """

    function: Callable[..., float]
    needs: tuple[str, ...]
    definition: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The definition with the options that differ from the default ones."""
        given = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{self.definition} ({given})" if given else self.definition

    def __call__(self, saliency_map, given: Mapping[str, Any], **common) -> float:
        """Compute the metric from what is ``given`` by the names in ``needs``."""
        options = dict(self.options)
        baseline = options.pop("baseline", "center")
        given = given if isinstance(baseline, str) else {**given, "baseline": baseline}
        return self.function(saliency_map, *(given[need] for need in self.needs), **options, **common)


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
"""The canonical definitions, by name."""

_all = {"duplicates": True}
PRESETS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "mit": {name: (name, {}) for name in METRICS if name not in ("auc", "auc_shuffled_exact", "emd")},
    "tuebingen": {
        "auc": ("auc", {"negatives": "all", **_all}),
        "auc_shuffled_exact": ("auc_shuffled_exact", _all),
        "nss": ("nss", {"ddof": 0, **_all}),
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
"""Column -> (metric, options) of the benchmarks. Numbers of two presets do not belong in one table."""


def resolve(metrics: str | Iterable[str] | Mapping[str, Any] | None, available: set[str]) -> dict[str, Metric]:
    """Return column -> ``Metric`` for the ``metrics`` argument of ``evaluate``.

    ``None`` is the preset ``"mit"`` as far as ``available`` input goes; everything else that is asked for must be
    computable.
    """
    if metrics is None:
        wanted = computable("mit", available)
    elif isinstance(metrics, str) and metrics in PRESETS:
        wanted = PRESETS[metrics]
    elif isinstance(metrics, Mapping):
        wanted = {column: (value, {}) if isinstance(value, str) else tuple(value) for column, value in metrics.items()}
    else:
        wanted = {name: (name, {}) for name in ([metrics] if isinstance(metrics, str) else metrics)}
    if not wanted:
        raise ValueError(f"metrics: expected at least one of {', '.join(METRICS)}.")
    resolved = {}
    for column, (name, options) in wanted.items():
        if name not in METRICS:
            raise ValueError(unknown_name_message(name, [*METRICS, *PRESETS], "metric"))
        baseline = options.get("baseline", "center") if "baseline" in METRICS[name].needs else "center"
        if isinstance(baseline, str) and baseline != "center":
            raise ValueError(f'metrics: {column!r}: expected the baseline "center" or a map, received {baseline!r}.')
        missing = sorted(set(METRICS[name].needs) - available)
        if missing:
            raise ValueError(f"metrics: {column!r} needs {_SOURCES[missing[0]]}.")
        resolved[column] = dataclasses.replace(METRICS[name], options=dict(options))
    return resolved


def computable(preset: str, available: set[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the part of a preset that needs nothing but what is ``available``."""
    return {c: value for c, value in PRESETS[preset].items() if available.issuperset(METRICS[value[0]].needs)}


_SOURCES = {
    "density": "densities; pass densities=, or sigma= to blur the fixations",
    "others": "fixations of other images; pass other_fixations=, or several images",
}
