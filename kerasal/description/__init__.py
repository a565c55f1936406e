"""Description of a model: what it takes and returns, and which methods work on it.

``describe``          the facts about a file, a zoo name or a Keras model
``ModelDescription``  these facts, as text and as JSON
"""

from kerasal import _keras as _keras
from kerasal.description.describe_model import describe
from kerasal.description.model_description import ModelDescription

__all__ = ["ModelDescription", "describe"]


def __dir__() -> list[str]:
    return sorted(__all__)
