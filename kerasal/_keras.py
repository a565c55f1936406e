"""The one check that Keras runs on TensorFlow: GradientTape, tf.function and SavedModel have no other home.

Import this module before ``keras`` wherever TensorFlow is used. It says how to set the backend instead of failing later
with a message about tensors.
"""

import os

_ADVICE = (
    "kerasal needs Keras on the TensorFlow backend, but Keras is set to {backend!r}. "
    "Set it before Keras is first imported: run with the environment variable KERAS_BACKEND=tensorflow, "
    'or put "backend": "tensorflow" into ~/.keras/keras.json.'
)

_wanted = os.environ.get("KERAS_BACKEND", "tensorflow")
if _wanted != "tensorflow":  # before the import, which would load (or miss) that other framework
    raise ImportError(_ADVICE.format(backend=_wanted))

try:
    import keras
except ImportError as error:  # a keras.json that names a framework which is not installed
    if error.name in {"jax", "torch", "openvino", "mlx"}:
        raise ImportError(_ADVICE.format(backend=error.name)) from error
    raise

if keras.backend.backend() != "tensorflow":
    raise ImportError(_ADVICE.format(backend=keras.backend.backend()))
