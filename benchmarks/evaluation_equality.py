"""Metrics of ``attribution.evaluation`` beside those of Quantus and xplique, on the same arrays.

    python benchmarks/evaluation_equality.py [--only quantus xplique]

A small network with random weights and a softmax is judged on six images. Outputs of the network, maps, masks, random
subsets, noise, random weights and random classes are the same for both. A difference is the largest one among images,
relative to the largest value of the other. Packages that are not installed are left out. One environment holds both;
xplique requires an older TensorFlow than kerasal, and nothing that is used here depends on it:

    python -m venv judges
    judges/bin/pip install '.[test]' quantus==0.6.0 tensorflow-probability==0.25.0 tf_keras einops deprecated
    judges/bin/pip install --no-deps xplique==2.0.2
"""

import argparse
import dataclasses
import importlib.util
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import evaluation_peers as peers
import numpy as np
from evaluation_peers import (
    FILL,
    IMAGES,
    MAPS,
    MASKS,
    METHOD,
    MODEL,
    OPPOSED,
    POSITIVE,
    ROAD_SHARES,
    SEED,
    STEPS,
    TARGETS,
)

from kerasal.attribution import evaluation
from kerasal.attribution.evaluation.road import impute

TOLERANCE = 1e-6
PACKAGES = ("quantus", "xplique")
RAW = {"abs": False, "normalise": False}  # maps as they are
UPPER_HALF = np.median(MAPS, axis=(1, 2), keepdims=True) < MAPS


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Values of a metric and those of another package's.

    Attributes:
        metric: the metric of kerasal.
        package, function: what it is compared with.
        ours, theirs: functions that return arrays of the same shape.
        note: what is made equal first, since the definitions differ.
    """

    metric: str
    package: str
    function: str
    ours: Callable[[], np.ndarray]
    theirs: Callable[[], np.ndarray]
    note: str = ""

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def difference(self) -> float:
        """Return the largest difference, relative to the largest value of the other."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the packages
            theirs, ours = (np.asarray(run(), np.float64) for run in (self.theirs, self.ours))
        if ours.shape != theirs.shape or not np.ptp(theirs) > 0 or not np.isfinite(ours).all():
            raise ValueError(f"{self.metric}: values must be finite and vary, got {ours} and {theirs}.")
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def judge(metric: str, *arguments, **options) -> evaluation.Evaluation:
    return evaluation.metric_function(metric)(*arguments, random_maps=0, **options)


def scores(metric: str, maps: np.ndarray = MAPS, **options) -> np.ndarray:
    """Return values of a metric that measures the probability of changed inputs."""
    return judge(metric, MODEL, IMAGES, maps, TARGETS, **options).values


def subsets(metric: str, **options) -> np.ndarray:
    """Return values of a metric of the subsets that the other package gets."""
    return scores(metric, share=0.25, **peers.SUBSETS, **options)


def places(metric: str) -> np.ndarray:
    return judge(metric, MAPS, MASKS).values


def alone(metric: str) -> np.ndarray:
    return judge(metric, MAPS).values


def method(metric: str, **options) -> np.ndarray:
    """Return values of a metric that runs the method again."""
    return judge(metric, MODEL, IMAGES, METHOD, TARGETS, seed=SEED, **options).values


def deletion_curve() -> np.ndarray:
    """Return the curve of ``deletion`` without the unchanged input."""
    result = judge("deletion", MODEL, IMAGES, MAPS, TARGETS, steps=STEPS, fill=FILL)
    return result.details["curve"].scores[:, 1:]


def correlations_of_shares() -> np.ndarray:
    options = {"shares": peers.SHARES, **peers.SUBSETS}
    return judge("sensitivity_n", MODEL, IMAGES, MAPS, TARGETS, **options).details["correlations"]


def imputed() -> np.ndarray:
    return np.stack([impute(image.astype(float), mask) for image, mask in zip(IMAGES, UPPER_HALF, strict=True)])


def comparisons() -> Iterator[Comparison]:
    """Yield everything that is compared, by metric of kerasal."""
    make, quantus, xplique = Comparison, peers.quantus_values, peers.xplique_each
    share = IMAGES[0].size // STEPS
    theirs = partial(quantus, "PixelFlipping", features_in_step=share, perturb_baseline=FILL, normalise=False)
    note = "the curve without the unchanged input, which its curve leaves out"
    yield make("deletion", "quantus", "PixelFlipping", deletion_curve, theirs, note)
    for metric in ("deletion", "insertion"):
        name = metric.capitalize()
        theirs = partial(xplique, name, steps=STEPS, baseline_mode=FILL)
        yield make(metric, "xplique", name, partial(scores, metric, steps=STEPS, fill=FILL), theirs)

    note = "the imputed images, without noise"
    theirs = partial(peers.quantus_imputed, UPPER_HALF)
    yield make("road", "quantus", "noisy_linear_imputation", imputed, theirs, note)
    ours = partial(scores, "road", shares=ROAD_SHARES, noise=0)
    note = "the values, from images that it imputes; its ROAD counts the images whose class stays"
    yield make("road", "quantus", "noisy_linear_imputation", ours, peers.quantus_road, note)

    note = "the positive part of the map there, with a 0; it takes absolute values and moves the smallest to 0"
    for metric, name in (("average_drop", "AverageDropMetric"), ("increase_in_confidence", "AverageIncreaseMetric")):
        yield make(metric, "xplique", name, partial(scores, metric, OPPOSED), partial(peers.xplique_masked, name), note)

    for kind in ("pearson", "spearman"):
        ours = partial(subsets, "mu_fidelity", correlation=kind)
        theirs = partial(peers.quantus_correlation, kind)
        yield make("mu_fidelity", "quantus", "FaithfulnessCorrelation", ours, theirs, f"correlation='{kind}'")
    note = "correlation='spearman'; kerasal's subsets, all of one size; its own have random sizes"
    ours = partial(subsets, "mu_fidelity", correlation="spearman")
    yield make("mu_fidelity", "xplique", "MuFidelity", ours, peers.xplique_fidelity, note)
    note = (
        "its first step, of copies of an image that lose kerasal's subsets; it removes the strongest values of each "
        "image, correlates over images, and compares the drop without all values so far with the sum of the last step"
    )
    yield make("sensitivity_n", "quantus", "SensitivityN", correlations_of_shares, peers.quantus_sensitivity_n, note)
    note = (
        "scale=False; kerasal's subsets, where it removes block after block; the gradient there, which it multiplies "
        "by the change, and the product here"
    )
    ours = partial(subsets, "infidelity", scale=False)
    yield make("infidelity", "quantus", "Infidelity", ours, peers.quantus_infidelity, note)

    noise = {"radius": 0.1, "samples": 8}
    theirs = partial(peers.quantus_max_sensitivity, **noise)
    note = "the same noise; its bound is absolute, kerasal's a share of the range of the input"
    yield make(
        "max_sensitivity", "quantus", "MaxSensitivity", partial(method, "max_sensitivity", **noise), theirs, note
    )
    ours = partial(method, "model_randomization", layers="each")
    note = "layers='each'; its own mean includes 1 for the unchanged weights"
    yield make("model_randomization", "quantus", "MPRT", ours, peers.quantus_randomization, note)
    name, note = "ModelRandomizationMetric", "layers='each'; absolute values there; it takes signed ones"
    yield make("model_randomization", "xplique", name, ours, peers.xplique_randomization, note)
    note = "similarity_func=correlation_spearman; its default is SSIM"
    yield make(
        "random_logit", "quantus", "RandomLogit", partial(method, "random_logit"), peers.quantus_random_logit, note
    )

    note = "of equal maxima kerasal takes the first, it any"
    theirs = partial(quantus, "PointingGame", **RAW)
    yield make("pointing_game", "quantus", "PointingGame", partial(places, "pointing_game"), theirs, note)
    note = "the positive part of the map there; it sums values of both signs"
    theirs = partial(quantus, "RelevanceMassAccuracy", POSITIVE, **RAW)
    yield make("relevance_mass", "quantus", "RelevanceMassAccuracy", partial(places, "relevance_mass"), theirs, note)
    theirs = partial(quantus, "RelevanceRankAccuracy", **RAW)
    yield make("relevance_rank", "quantus", "RelevanceRankAccuracy", partial(places, "relevance_rank"), theirs)

    sizes, name = np.abs(MAPS), "Sparseness"
    note = "the map times 1000 there, since it adds 1e-7 to each value"
    theirs = partial(quantus, name, 1000 * sizes)
    yield make("sparseness", "quantus", name, partial(alone, "sparseness"), theirs, note)
    theirs = partial(peers.xplique_alone, name)
    yield make("sparseness", "xplique", name, partial(alone, "sparseness"), theirs, "it computes in float32")
    name, ours = "Complexity", partial(alone, "complexity")
    yield make("complexity", "quantus", name, ours, partial(quantus, name, sizes))
    note = "it computes in float32 and adds 1e-8 to each share"
    yield make("complexity", "xplique", name, ours, partial(peers.xplique_alone, name), note)


def main() -> None:
    """Print the table, and exit with 1 if a difference is larger than 1e-6."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PACKAGES, default=PACKAGES, help="packages to compare")
    only, failed = parser.parse_args().only, False
    print("| metric | package | function | difference | what was made equal first, where the definitions differ |")
    print("|---|---|---|---|---|")
    for comparison in comparisons():
        if comparison.package in only and comparison.is_installed:
            difference = comparison.difference()
            failed |= difference > TOLERANCE
            row = (f"`{comparison.metric}`", comparison.package, f"`{comparison.function}`", f"{difference:.0e}")
            print(f"| {' | '.join(row)} | {comparison.note} |", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
