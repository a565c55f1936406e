"""What a unit's receptive field prefers: patterns by backward passes, how they spread, and whether they hold."""

from kerasal.receptive_field.patterns.comparison import CenterSurround, Comparison, center_surround, compare_patterns
from kerasal.receptive_field.patterns.painter import patterns
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
