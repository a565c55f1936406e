"""Predictions, attribution maps, gaze maps or boxes for many images, written as shards: Parquet, NPZ or PNG files.

* ``run``: run a method over images, in this process or on Ray with ``workers``. The same call continues an interrupted
  run.
* ``methods``: the methods: ``predict``, ``gaze``, ``localize`` and every attribution method.

The images are divided into shards of a fixed size, and each process loads the model once. Neither the division nor the
number of threads per process depends on the number of workers, so the files are identical, byte for byte, for any
number of workers. Importing this package loads neither TensorFlow nor Ray.
"""

import importlib
from typing import TYPE_CHECKING, Any

_ORIGIN = {"run": "kerasal.batch.run_batch", "Result": "kerasal.batch.run_batch", "methods": "kerasal.batch.kinds"}

__all__ = ["Result", "methods", "run"]

if TYPE_CHECKING:
    from kerasal.batch.kinds import methods
    from kerasal.batch.run_batch import Result, run


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _ORIGIN:
        return getattr(importlib.import_module(_ORIGIN[name]), name)
    raise AttributeError(f"module 'kerasal.batch' has no attribute {name!r}; it has {', '.join(__all__)}")
