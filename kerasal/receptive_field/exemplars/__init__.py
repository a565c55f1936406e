"""Which images excite a unit most, what of them, and how that changes while a model is trained."""

from kerasal.receptive_field.exemplars.evolution_files import Evolution as Evolution
from kerasal.receptive_field.exemplars.evolution_files import read_evolution as read_evolution
from kerasal.receptive_field.exemplars.exemplar_pages import draw_evolution as draw_evolution
from kerasal.receptive_field.exemplars.exemplar_pages import draw_exemplars as draw_exemplars
from kerasal.receptive_field.exemplars.exemplar_pages import exemplar_table as exemplar_table
from kerasal.receptive_field.exemplars.feature_evolution import FeatureEvolution as FeatureEvolution
from kerasal.receptive_field.exemplars.reconstruction import Exemplars as Exemplars
from kerasal.receptive_field.exemplars.top_exemplars import top_exemplars as top_exemplars

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
