"""Which images excite a unit most, what of them, and how that changes while a model is trained."""

from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars, top_exemplars
from kerasal.receptive_field.exemplars.evolution_files import Evolution, read_evolution
from kerasal.receptive_field.exemplars.exemplar_pages import draw_evolution, draw_exemplars, exemplar_table
from kerasal.receptive_field.exemplars.feature_evolution import FeatureEvolution

__all__ = [
    "Evolution",
    "Exemplars",
    "FeatureEvolution",
    "draw_evolution",
    "draw_exemplars",
    "exemplar_table",
    "read_evolution",
    "top_exemplars",
]
