"""Metrics of attribution maps, each beside maps that know nothing of the model: which map can be trusted?

    result = evaluation.deletion(model, inputs, maps)
    result.values, result.interval, result.verdict, result.table()

Every metric returns an ``Evaluation``: a value per image, the values of a random map with the same values and the same
smoothness, of a Gaussian at the center and of the edges of the input, 95 % bootstrap intervals over images, and a
verdict only where the interval of the paired differences allows one.

=========================  ======  ==========================================================================
metric                     better  question
=========================  ======  ==========================================================================
``deletion``               lower   does the score fall when the strongest positions go first?
``insertion``              higher  does it rise when they come first?
``road``                   higher  the same, with removed positions filled in from their neighbors
``average_drop``           lower   how much of the score is lost with what the map leaves out?
``increase_in_confidence``  higher  is the score higher without it?
``mu_fidelity``            higher  do sums over random regions rise with the drop of the score?
``sensitivity_n``          higher  the same, for numbers of regions from few to many
``infidelity``             lower   how far are these sums from the drop?
``max_sensitivity``        lower   does the map change under small noise?
``model_randomization``    lower   is the map the same with random weights?
``random_logit``           lower   is the map the same for another class?
``pointing_game``          higher  is the map's maximum on the object?
``relevance_mass``         higher  how much of the map is on the object?
``relevance_rank``         higher  are its highest positions on the object?
``sparseness``                     how few positions carry the map?
``complexity``                     how evenly is it spread?
=========================  ======  ==========================================================================

Arguments of metrics that read a model: ``model, inputs, maps, target=None``, and for those that run a method again
``model, inputs, method, target=None``.

* ``model``: any built Keras model with a single input of any rank, and ``inputs``, as for the methods.
* ``maps``: float (N, *positions), with the positions of the inputs and without channels; larger is stronger.
* ``method``: the name of a method, or a function with its arguments; ``method_options`` are options of it.
* ``target``, ``output``, ``batch_size``: the score that is measured, as for the methods.
* ``logits``: False, the default of metrics that change inputs, measures the probability; True the score before the last
  softmax or sigmoid.
* ``random_maps``: number of random maps per image and map; with 0 there are no controls and no verdict.
* ``seed``: seed of the random maps and of what the metric draws.
* ``progress``: show a progress bar.

Metrics of places take ``maps, truth`` and, for the edges among the controls, ``inputs``.
"""

from kerasal.attribution.evaluation.control_maps import CONTROLS, center_maps, edge_maps, random_maps_like
from kerasal.attribution.evaluation.curves import Curve, deletion, insertion
from kerasal.attribution.evaluation.judgment import FEWEST_IMAGES, Evaluation
from kerasal.attribution.evaluation.localization_metrics import pointing_game, relevance_mass, relevance_rank
from kerasal.attribution.evaluation.map_statistics import complexity, sparseness
from kerasal.attribution.evaluation.masked_confidence import average_drop, increase_in_confidence
from kerasal.attribution.evaluation.metric import MetricSpec, list_metrics, metric_function, metric_spec
from kerasal.attribution.evaluation.road import road
from kerasal.attribution.evaluation.sanity_metrics import (
    cascading_randomization,
    max_sensitivity,
    model_randomization,
    random_logit,
)
from kerasal.attribution.evaluation.scorer import Scorer
from kerasal.attribution.evaluation.subject import Subject
from kerasal.attribution.evaluation.subset_metrics import infidelity, mu_fidelity, sensitivity_n

__all__ = [
    "CONTROLS",
    "FEWEST_IMAGES",
    "Curve",
    "Evaluation",
    "MetricSpec",
    "Scorer",
    "Subject",
    "average_drop",
    "cascading_randomization",
    "center_maps",
    "complexity",
    "deletion",
    "edge_maps",
    "increase_in_confidence",
    "infidelity",
    "insertion",
    "list_metrics",
    "max_sensitivity",
    "metric_function",
    "metric_spec",
    "model_randomization",
    "mu_fidelity",
    "pointing_game",
    "random_logit",
    "random_maps_like",
    "relevance_mass",
    "relevance_rank",
    "road",
    "sensitivity_n",
    "sparseness",
]


def __dir__() -> list[str]:
    return __all__
