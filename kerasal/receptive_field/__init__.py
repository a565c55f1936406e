"""Receptive fields: which pixels a unit can see, and which patterns and images activate it.

``field`` and ``fields``  size, stride and offset of the receptive fields of a layer, or of all layers, in pixels
``patterns``              the pattern of each channel: a unit is clamped and projected back to pixels (He & Pugeault)
``propagation``           the pattern of a unit and its area for growing clamped values
``validate_pattern(s)``   the response of all channels to a pattern that is fed to the model as an image
``compare_patterns``      the patterns of two models and their similarity
``center_surround``       how clearly a pattern is a center in a surround of another brightness or color
``top_exemplars``         the images that activate a channel most, with patches and reconstructions (Zeiler & Fergus)
``exemplar_table``        these exemplars as a table
``FeatureEvolution``      a Keras callback that stores reconstructions at chosen epochs; ``read_evolution`` reads them
``draw_…``                pictures of these results
"""

from typing import Any

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars, top_exemplars
from kerasal.receptive_field.exemplars.evolution_files import Evolution, read_evolution
from kerasal.receptive_field.exemplars.exemplar_pages import draw_evolution, draw_exemplars, exemplar_table
from kerasal.receptive_field.exemplars.feature_evolution import FeatureEvolution
from kerasal.receptive_field.geometry.field_geometry import Field, field, fields
from kerasal.receptive_field.patterns.center_surround import CenterSurround, center_surround
from kerasal.receptive_field.patterns.comparison import Comparison, compare_patterns
from kerasal.receptive_field.patterns.pattern_experiments import (
    Propagation,
    propagation,
    validate_pattern,
    validate_patterns,
)
from kerasal.receptive_field.patterns.pattern_pages import (
    draw_comparison,
    draw_patterns,
    draw_propagation,
    draw_validation,
)
from kerasal.receptive_field.patterns.pattern_projection import patterns

__all__ = [
    "CenterSurround",
    "Comparison",
    "Evolution",
    "Exemplars",
    "FeatureEvolution",
    "Field",
    "Propagation",
    "center_surround",
    "compare_patterns",
    "draw_comparison",
    "draw_evolution",
    "draw_exemplars",
    "draw_patterns",
    "draw_propagation",
    "draw_validation",
    "exemplar_table",
    "field",
    "fields",
    "patterns",
    "propagation",
    "read_evolution",
    "top_exemplars",
    "validate_pattern",
    "validate_patterns",
]

_RENAMED = {"CentreSurround": "CenterSurround", "centre_surround": "center_surround"}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    return _names.renamed_attribute(__name__, name, _RENAMED)
