"""Metrics of gaze prediction: how well a saliency map predicts where people look.

The metrics are those of the saliency benchmarks, computed in float64 with NumPy (and POT for ``emd``). They are
deterministic unless ``splits`` requests random draws. The defaults are the definitions of the MIT benchmark; options
select those of the Tuebingen benchmark (pysaliency) and others. Do not mix two definitions in a table. ``evaluate``
returns a table of scores for a set of images and for baselines, ``evaluate_folder`` does the same for files, and
``summarize`` computes means with confidence intervals.

================== ============== ========= ======== ================================================================
metric             against        range     chance   what it measures; its pitfall
================== ============== ========= ======== ================================================================
auc                fixations      0..1      .5       order of fixated and other pixels; a center blob scores high
auc_judd           fixations      0..1      .5       the same with Judd's curve; without jitter ties lower the score
auc_borji          fixations      0..1      .5       the same with thresholds every .1, which lowers the score
auc_shuffled       fixations      0..1      .5       the same against fixations on other images; depends on their
                                                     choice, and those of too many images cover every pixel
nss                fixations      unbounded 0        z-score at fixations; not for densities; favors a sharp peak
information_gain   fixations      unbounded 0        bits over a baseline; a fixation on a 0 costs up to 50 bits
cc                 density        -1..1     0        linear correlation; depends on the blur of the density
similarity         density        0..1      --       shared mass; min-max (MIT) or not (Tuebingen) changes it
kld                density        0..inf    --       missed mass in nats, lower is better; depends on epsilon
emd                density        0..       --       transport distance in bins, lower is better; depends on the size
================== ============== ========= ======== ================================================================

All metrics share the following arguments. **Maps** are arrays (H, W) of real numbers, cast to float64; inputs are never
modified. **Fixations** are a map of the same shape with the number of fixations on each pixel, or 0-based pixel
coordinates (x, y) of shape (n, 2), which are rounded down. ``duplicates=False`` counts each fixated pixel once (MIT),
``True`` counts every fixation (Tuebingen). **Densities** are blurred fixations (H, W), as ``blur_fixations`` returns.
``resize="matlab"`` allows a map whose size differs from the ground truth. ``name`` is the name of the image in error
messages.

Invalid input raises a ``ValueError`` that names the argument and the image: NaN or infinite values; no fixations;
coordinates outside the map; a density instead of fixations; every pixel fixated (``auc`` against unfixated pixels,
``auc_judd``); negative values in ``kld``, also after resizing; log-densities whose exp does not sum to 1; a map that
differs in size from the ground truth, unless it is resized (bicubic, a = -0.5, antialiased, symmetric edges). A
constant map scores .5 in every AUC and 0 in ``nss``; ``cc``, ``similarity`` and ``information_gain`` return NaN with a
warning, and so do ``kld`` and ``emd`` for a map of zeros.

Known errors in popular ports: jitter added before normalizing reorders maps of small range; a widespread shuffled AUC
draws 77 % negative values, another uses a disc in the center; a port of Judd's AUC is off by one; several round to 4
decimals; another modifies the caller's map; uint8 maps overflow in the Matlab code (AUC-Judd .22 instead of .48).
"""

from kerasal import names as _names
from kerasal.metrics.blur import BASELINES, SIGMAS, blur_fixations, center_map, degrees_to_pixels
from kerasal.metrics.coursework_metrics import coursework_scores
from kerasal.metrics.distributions import cc, emd, kld, similarity
from kerasal.metrics.evaluator import evaluate
from kerasal.metrics.folder_scores import evaluate_folder
from kerasal.metrics.pointwise import information_gain, nss
from kerasal.metrics.roc_areas import auc, auc_judd
from kerasal.metrics.score_report import ScoreReport
from kerasal.metrics.step_areas import auc_borji, auc_shuffled
from kerasal.metrics.summary import summarize

__all__ = [
    "BASELINES",
    "SIGMAS",
    "ScoreReport",
    "auc",
    "auc_borji",
    "auc_judd",
    "auc_shuffled",
    "blur_fixations",
    "cc",
    "center_map",
    "coursework_scores",
    "emd",
    "evaluate",
    "evaluate_folder",
    "information_gain",
    "kld",
    "nss",
    "degrees_to_pixels",
    "similarity",
    "summarize",
]

_RENAMED = {"pixels_of_degrees": "degrees_to_pixels"}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
