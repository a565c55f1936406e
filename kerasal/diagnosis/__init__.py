"""What is wrong with a convolution: its filters' frequencies, what its stride loses, dead and doubled filters.

``filter_diagnosis``   a row a filter: norm, shares of frequencies, aliasing, nearest other filter, dead or not
``describe_filters``   what that says, in a few lines
``draw_filters``       the filters themselves, in the colors of their weights
"""

from kerasal import _keras as _keras
from kerasal.diagnosis.filter_diagnosis import describe_filters, draw_filters, filter_diagnosis

__all__ = ["describe_filters", "draw_filters", "filter_diagnosis"]


def __dir__() -> list[str]:
    return sorted(__all__)
