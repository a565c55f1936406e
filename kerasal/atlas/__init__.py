"""An atlas of a model: static HTML pages on its layers, channels, classes and images, opened without a server.

``build(model, folder, images=...)`` creates an atlas, and continues it after an interruption, in these steps:

* ``anatomy`` lists the layers of the model with their shapes, receptive fields and connections.
* ``atlas_plan`` divides the work into pieces, the most informative first. ``maximized``, ``exemplar_records`` and
  ``image_page`` compute them, and ``atlas_store`` keeps the results as images and JSON records.
* ``contents`` reads the results, and ``atlas_pages`` writes the pages from ``templates/``. The pages of an incomplete
  atlas list what is missing.

Importing this package does not load TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerasal import _keras as _keras
from kerasal import names as _names

_ORIGIN = {"build": "kerasal.atlas.build_atlas", "AtlasResult": "kerasal.atlas.build_atlas"}
_RENAMED = {"Built": "AtlasResult"}

__all__ = ["AtlasResult", "build"]

if TYPE_CHECKING:
    from kerasal.atlas.build_atlas import AtlasResult, build


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _ORIGIN:
        return getattr(importlib.import_module(_ORIGIN[name]), name)
    return _names.renamed_attribute(__name__, name, _RENAMED)
