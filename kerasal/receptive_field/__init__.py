"""Receptive fields: what a unit can see of the image, and what it has become attuned to.

``field`` and ``fields``  size, stride and place of the receptive fields of a layer's units, in pixels
``top_exemplars``         the images that excite a channel most, the patch each unit saw, and its reconstruction
``FeatureEvolution``      a Keras callback that stores such reconstructions at chosen epochs and draws the strip
"""

from kerasal import _keras as _keras
from kerasal.receptive_field.evolution import FeatureEvolution as FeatureEvolution
from kerasal.receptive_field.evolution_files import Evolution as Evolution
from kerasal.receptive_field.evolution_files import read_evolution as read_evolution
from kerasal.receptive_field.evolution_pages import draw_evolution as draw_evolution
from kerasal.receptive_field.exemplar_pages import draw_exemplars as draw_exemplars
from kerasal.receptive_field.exemplars import top_exemplars as top_exemplars
from kerasal.receptive_field.geometry import Field as Field
from kerasal.receptive_field.geometry import field as field
from kerasal.receptive_field.geometry import fields as fields
from kerasal.receptive_field.reconstructing import Exemplars as Exemplars

__all__ = [
    "Evolution",
    "Exemplars",
    "FeatureEvolution",
    "Field",
    "draw_evolution",
    "draw_exemplars",
    "field",
    "fields",
    "read_evolution",
    "top_exemplars",
]
