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

from kerasal import _keras as _keras
from kerasal import names as _names
from kerasal.receptive_field.exemplars import Evolution as Evolution
from kerasal.receptive_field.exemplars import Exemplars as Exemplars
from kerasal.receptive_field.exemplars import FeatureEvolution as FeatureEvolution
from kerasal.receptive_field.exemplars import draw_evolution as draw_evolution
from kerasal.receptive_field.exemplars import draw_exemplars as draw_exemplars
from kerasal.receptive_field.exemplars import exemplar_table as exemplar_table
from kerasal.receptive_field.exemplars import read_evolution as read_evolution
from kerasal.receptive_field.exemplars import top_exemplars as top_exemplars
from kerasal.receptive_field.geometry import Field as Field
from kerasal.receptive_field.geometry import field as field
from kerasal.receptive_field.geometry import fields as fields
from kerasal.receptive_field.patterns import CenterSurround as CenterSurround
from kerasal.receptive_field.patterns import Comparison as Comparison
from kerasal.receptive_field.patterns import Propagation as Propagation
from kerasal.receptive_field.patterns import center_surround as center_surround
from kerasal.receptive_field.patterns import compare_patterns as compare_patterns
from kerasal.receptive_field.patterns import draw_comparison as draw_comparison
from kerasal.receptive_field.patterns import draw_patterns as draw_patterns
from kerasal.receptive_field.patterns import draw_propagation as draw_propagation
from kerasal.receptive_field.patterns import draw_validation as draw_validation
from kerasal.receptive_field.patterns import patterns as patterns
from kerasal.receptive_field.patterns import propagation as propagation
from kerasal.receptive_field.patterns import validate_pattern as validate_pattern
from kerasal.receptive_field.patterns import validate_patterns as validate_patterns

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


def __getattr__(name: str):
    return _names.renamed_attribute(__name__, name, _RENAMED)
