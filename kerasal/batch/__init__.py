"""Any attribution, prediction, gaze map or localization over many images: ``images -> numbered shards of results``.

    images (folder, list) -> plan: shards of fixed size -> make: model once a process -> write: Parquet, NPZ or PNG

* ``run``: in this process, or on Ray with ``workers=``. Interrupted, it goes on where it stopped.
* ``methods``: what can be run: ``predict``, ``gaze``, ``localize`` and every attribution method.

A shard is planned by the images alone and computed by as many threads whoever computes it, so that results are the same
bytes for any number of workers, and after one was killed. Nothing here loads TensorFlow or Ray before it is used.
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
