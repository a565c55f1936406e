"""Metrics of gaze prediction: how well a saliency map says where people looked.

The saliency benchmarks' numbers, computed in float64 by NumPy (and POT for ``emd``), deterministic unless random
splits are asked for. The defaults are the MIT benchmark's definitions; options give Tuebingen's (pysaliency) and
others'. Numbers of two definitions never belong in one table. ``evaluate`` scores a set of images into a table, with
baselines beside the maps, ``evaluate_folder`` does so with files, and ``summarize`` turns tables into means with their
uncertainty.

================== ============== ========= ======== ================================================================
metric             against        range     chance   measures; and its pitfall
================== ============== ========= ======== ================================================================
auc                fixations      0..1      .5       order of fixated and other pixels; a center blob scores high
auc_judd           fixations      0..1      .5       the same by Judd's curve; without jitter ties count against the map
auc_borji          fixations      0..1      .5       the same with thresholds every .1, which makes it lower
auc_shuffled       fixations      0..1      .5       against where people look in other images; depends on which; the
                                                     joined fixations of too many images cover everything
nss                fixations      unbounded 0        z-score at fixations; never pass a density; one sharp peak pays
information_gain   fixations      unbounded 0        bits over a baseline; one fixation on a 0 costs up to 50 bits
cc                 density        -1..1     0        linear relation; depends on the blur of the density
similarity         density        0..1      --       shared mass; min-max (MIT) or not (Tuebingen) changes it
kld                density        0..inf    --       missed mass in nats, lower is better; epsilon rules on sparse maps
emd                density        0..       --       how far mass has to move, in bins; depends on the image's size
================== ============== ========= ======== ================================================================

**Maps** are (H, W) numbers of any kind, cast to float64 first; inputs are never changed. **Fixations** are a map of
that shape (non-zero = fixated, whole numbers = repeated fixations) or (n, 2) pixel coordinates (x, y), 0-based, whose
fractions are dropped. ``duplicates=False`` uses each fixated pixel once (MIT), ``True`` every fixation (Tuebingen).
**Densities** are (H, W) blurred fixations (``blur_fixations``). ``resize="matlab"`` allows a map of another size than
the ground truth; ``name`` is the image, for messages. These arguments are the same in every metric.

Bad input raises ``ValueError`` with the argument's and the image's ``name``: NaN or infinite values; no fixations;
coordinates outside the map; a density where fixations belong; every pixel fixated (``auc`` against unfixated pixels,
``auc_judd``); negative values in ``kld`` (after resizing too); log-densities whose exp does not sum to 1; a map of
another size than the ground truth, unless it is resized (bicubic a = -0.5, antialiased, symmetric edges). A
constant map scores .5 in every AUC and 0 in ``nss``; ``cc``, ``similarity`` and ``information_gain`` are NaN with a
warning, as ``kld`` and ``emd`` are for a map of zeros.

Popular ports that are wrong: a jitter added before normalizing reorders maps of small range; a widespread shuffled
AUC draws 77 % negative values, another uses a disc in the center; one Judd is off by one; several round to 4
decimals; one changes the caller's map; uint8 maps overflow in the Matlab code (Judd .22 for .48).
"""

from kerasal.metrics.blur import BASELINES, SIGMAS, blur_fixations, center_map, pixels_of_degrees
from kerasal.metrics.coursework_metrics import coursework_scores
from kerasal.metrics.distributions import cc, emd, kld, similarity
from kerasal.metrics.evaluator import evaluate
from kerasal.metrics.folder_scores import evaluate_folder
from kerasal.metrics.pointwise import information_gain, nss
from kerasal.metrics.roc_areas import auc, auc_judd
from kerasal.metrics.score_report import ScoreReport
from kerasal.metrics.stepped import auc_borji, auc_shuffled
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
    "pixels_of_degrees",
    "similarity",
    "summarize",
]


def __dir__() -> list[str]:
    return sorted(__all__)
