"""Diagnosis of convolutions: frequencies of the filters, aliasing by the stride, dead and duplicate filters.

``filter_diagnosis``   a table with one row per filter: RMS weight, frequencies, aliasing, similarity, dead or not
``describe_filters``   a summary of that table in a few lines of text
``draw_filters``       a picture of the filters in the colors of their weights
"""

from kerasal import _keras as _keras
from kerasal.diagnosis.filter_diagnosis import describe_filters, draw_filters, filter_diagnosis

__all__ = ["describe_filters", "draw_filters", "filter_diagnosis"]


def __dir__() -> list[str]:
    return sorted(__all__)
