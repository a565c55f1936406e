"""Receptive fields: what a unit can see of the image, and what it has become attuned to.

``field`` and ``fields``  size, stride and place of the receptive fields of a layer's units, in pixels
"""

from kerasal import _keras as _keras
from kerasal.receptive_field.geometry import Field as Field
from kerasal.receptive_field.geometry import field as field
from kerasal.receptive_field.geometry import fields as fields

__all__ = ["Field", "field", "fields"]
