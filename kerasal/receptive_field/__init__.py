"""Receptive fields: what a unit can see of the image, and what it has become attuned to.

``field`` and ``fields``  size, stride and place of the receptive fields of a layer's units, in pixels
``patterns``              what each channel paints when one of its units is clamped and carried back (He & Pugeault)
``propagation``           that pattern as the clamped value grows, on one brightness scale
``validate_pattern(s)``   that pattern fed forward: does its own channel answer most?
``compare_patterns``      the patterns of two models, side by side and in numbers
``center_surround``       how far a pattern is a bright center in a dark surround, or the reverse
``top_exemplars``         the images that excite a channel most, what each unit saw of them, and its reconstruction
``FeatureEvolution``      a Keras callback that stores such reconstructions at chosen epochs and draws the strip
``draw_…``                the pictures of all these
"""

from typing import Any

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars, top_exemplars
from kerasal.receptive_field.exemplars.evolution_files import Evolution, read_evolution
from kerasal.receptive_field.exemplars.exemplar_pages import draw_evolution, draw_exemplars, exemplar_table
from kerasal.receptive_field.exemplars.feature_evolution import FeatureEvolution
from kerasal.receptive_field.geometry.field_geometry import Field, field, fields
from kerasal.receptive_field.patterns.comparison import CenterSurround, Comparison, center_surround, compare_patterns
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
