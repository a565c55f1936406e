"""Where a unit's receptive field lies: its size, jump and window, read off the model's traced operations."""

from kerasal.receptive_field.geometry.field_geometry import Field, field, fields

__all__ = [
    "Field",
    "field",
    "fields",
]
