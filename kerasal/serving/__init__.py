"""A model and its explanations behind a server: one SavedModel with a signature for each.

* ``export``: any Keras model to ``DIR/NAME/VERSION``, TensorFlow Serving's folders; needs TensorFlow alone to run.
* ``export_onnx``: scores, and the attributions that take no gradient, as ONNX files.
* ``Signature``, ``kinds``: what a signature can be; see ``kerasal.serving.signatures``.

Starting a server on an export (``kerasal.serving.server``) needs no TensorFlow, so that nothing here loads it before it
is used.
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
