"""Watch a network while ``model.fit`` trains it: ``KerasalCallback`` writes maps, class models and feature evolutions.

``draw_strip`` draws what it stored.
"""

from kerasal import _keras as _keras
from kerasal.callbacks.callback import KerasalCallback
from kerasal.callbacks.strips import draw_strip

__all__ = ["KerasalCallback", "draw_strip"]


def __dir__() -> list[str]:
    return sorted(__all__)
