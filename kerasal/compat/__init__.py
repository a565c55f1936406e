"""Classes of other packages on this package's engine: changing the import is enough.

``tf_keras_vis``    the visualizations of tf-keras-vis 0.8, for every kind of Keras model
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasal.compat import tf_keras_vis as tf_keras_vis

__all__ = ["tf_keras_vis"]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"kerasal.compat.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
