"""A model and its explanations behind a server: one SavedModel with a signature for each.

* ``export``: any Keras model to ``DIR/NAME/VERSION``, TensorFlow Serving's folders; needs TensorFlow alone to run.
* ``Signature``, ``kinds``: what a signature can be; see ``kerasal.serving.signatures``.
"""

from kerasal import _keras as _keras
from kerasal.serving.exporting import export as export
from kerasal.serving.signatures import Signature as Signature
from kerasal.serving.signatures import kinds as kinds

__all__ = ["Signature", "export", "kinds"]
