"""Draw what a model sees during ``model.fit``: ``KerasalCallback`` writes maps, class images and feature evolutions.

``draw_strip`` draws the images that it stored.
"""

from kerasal import _keras as _keras
from kerasal.callbacks.callback import KerasalCallback
from kerasal.callbacks.strips import draw_strip

__all__ = ["KerasalCallback", "draw_strip"]


def __dir__() -> list[str]:
    return sorted(__all__)
