"""Export a model and its explanations for serving: a SavedModel with a signature per prediction or method.

* ``export``: write any Keras model to ``DIR/NAME/VERSION``, the layout of TensorFlow Serving. Running the export
  requires only TensorFlow.
* ``export_onnx``: write the scores, and the attribution methods that need no gradient, as ONNX files.
* ``Signature``, ``kinds``: a signature and the list of their kinds; see ``kerasal.serving.signatures``.

Importing this package loads no TensorFlow: ``kerasal.serving.server``, which starts a server, does not need it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerasal import _keras as _keras

_ORIGIN = {
    "export": "kerasal.serving.exporter",
    "export_onnx": "kerasal.serving.onnx",
    "Signature": "kerasal.serving.signatures",
    "kinds": "kerasal.serving.signatures",
}

__all__ = ["Signature", "export", "export_onnx", "kinds"]

if TYPE_CHECKING:
    from kerasal.serving.exporter import export
    from kerasal.serving.onnx import export_onnx
    from kerasal.serving.signatures import Signature, kinds


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _ORIGIN:
        return getattr(importlib.import_module(_ORIGIN[name]), name)
    raise AttributeError(f"module 'kerasal.serving' has no attribute {name!r}; it has {', '.join(__all__)}")
