"""The metrics are on the ground floor: they run without TensorFlow and Keras, POT included."""

import subprocess
import sys

CODE = """
import sys
import numpy as np
from kerasal import metrics
wanted = {"emd": ("emd", {"downsize": 2}), "nss": "nss"}
metrics.evaluate(np.eye(6)[None], [[(2, 3)]], [np.ones((6, 6)) + np.eye(6)], metrics=wanted)
loaded = {"tensorflow", "keras", "torch", "jax"} & set(sys.modules)
assert not loaded, loaded
"""


def test_metrics_load_no_framework():
    subprocess.run([sys.executable, "-c", CODE], check=True)
