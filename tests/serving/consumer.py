"""Somebody who has TensorFlow alone: answers requests from a SavedModel where keras and kerasal cannot be imported.

    python consumer.py MODEL REQUESTS.npz REPLIES.npz

Request arrays are named ``number/signature/input``, replies ``number/signature/output``, or ``number/signature/error``.
"""

import importlib.machinery
import sys


class Blocked:
    """TensorFlow looks for Keras without importing it, so it may be found, but not be run."""

    def find_spec(self, name, path=None, target=None):
        blocked = name.split(".")[0] in ("keras", "kerasal", "tf_keras")
        return importlib.machinery.ModuleSpec(name, self) if blocked else None

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is blocked here")

    def exec_module(self, module):
        raise ImportError("blocked")


sys.meta_path.insert(0, Blocked())

import numpy as np  # noqa: E402

import tensorflow as tf  # noqa: E402

for blocked in ("keras", "kerasal"):
    try:
        __import__(blocked)
    except ImportError:
        continue
    raise AssertionError(f"{blocked} can be imported here")

model, requests, replies = sys.argv[1:]
signatures = tf.saved_model.load(model).signatures
asked = {}
with np.load(requests, allow_pickle=True) as archive:
    for name in archive.files:
        number, signature, key = name.split("/")
        asked.setdefault((number, signature), {})[key] = archive[name]
found = {}
for (number, signature), inputs in asked.items():
    tensors = {key: tf.constant(value.tolist() if value.dtype == object else value) for key, value in inputs.items()}
    try:
        answers = signatures[signature](**tensors)
    except Exception as error:
        found[f"{number}/{signature}/error"] = np.array(f"{type(error).__name__}: {error}")
        continue
    for key, value in answers.items():
        array = value.numpy()
        found[f"{number}/{signature}/{key}"] = np.array(array.tolist()) if array.dtype == object else array
with open(replies, "wb") as file:
    np.savez(file, **found)
