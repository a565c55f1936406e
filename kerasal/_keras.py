"""Check that Keras runs on TensorFlow, which GradientTape, tf.function and SavedModel need.

Modules that use TensorFlow import this module before ``keras``, so that a wrong backend raises an error that explains
how to set it.
"""

import os

_ADVICE = (
    "The backend of Keras must be 'tensorflow', got {backend!r}. "
    "Set it before Keras is first imported: run with the environment variable KERAS_BACKEND=tensorflow, "
    'or put "backend": "tensorflow" into ~/.keras/keras.json.'
)

_wanted = os.environ.get("KERAS_BACKEND", "tensorflow")
if _wanted != "tensorflow":  # before the import, which would load the other framework
    raise ImportError(_ADVICE.format(backend=_wanted))

try:
    import keras
except ImportError as error:  # keras.json names a framework that is not installed
    if error.name in {"jax", "torch", "openvino", "mlx"}:
        raise ImportError(_ADVICE.format(backend=error.name)) from error
    raise

if keras.backend.backend() != "tensorflow":
    raise ImportError(_ADVICE.format(backend=keras.backend.backend()))
