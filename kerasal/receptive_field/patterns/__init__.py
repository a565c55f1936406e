"""What a unit's receptive field prefers: patterns by backward passes, how they spread, and whether they hold."""

from kerasal.receptive_field.patterns.comparison import CenterSurround as CenterSurround
from kerasal.receptive_field.patterns.comparison import Comparison as Comparison
from kerasal.receptive_field.patterns.comparison import center_surround as center_surround
from kerasal.receptive_field.patterns.comparison import compare_patterns as compare_patterns
from kerasal.receptive_field.patterns.painter import patterns as patterns
from kerasal.receptive_field.patterns.pattern_experiments import Propagation as Propagation
from kerasal.receptive_field.patterns.pattern_experiments import propagation as propagation
from kerasal.receptive_field.patterns.pattern_experiments import validate_pattern as validate_pattern
from kerasal.receptive_field.patterns.pattern_experiments import validate_patterns as validate_patterns
from kerasal.receptive_field.patterns.pattern_pages import draw_comparison as draw_comparison
from kerasal.receptive_field.patterns.pattern_pages import draw_patterns as draw_patterns
from kerasal.receptive_field.patterns.pattern_pages import draw_propagation as draw_propagation
from kerasal.receptive_field.patterns.pattern_pages import draw_validation as draw_validation

__all__ = [
    "CenterSurround",
    "Comparison",
    "Propagation",
    "center_surround",
    "compare_patterns",
    "draw_comparison",
    "draw_patterns",
    "draw_propagation",
    "draw_validation",
    "patterns",
    "propagation",
    "validate_pattern",
    "validate_patterns",
]
