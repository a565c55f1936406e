"""An atlas: a folder of pages on which one network can be looked at, opened from disk, without a server.

``build(model, folder, images=...)`` makes it, and goes on where it was stopped. What it consists of:

* the **model**, an ``ImageModel`` whose task is known, and its **anatomy** (``anatomy``): layers, shapes, receptive
  fields, and what is connected with what;
* a **plan** (``atlas_plan``) of pieces, the most telling first; each is made once (``maximized``,
  ``exemplar_records``, ``image_page``), and its pictures and facts are put into the **store** (``atlas_store``);
* the **pages** (``atlas_pages``, ``templates/``), written from the store's ``contents``, which say what is missing.

Nothing here loads TensorFlow before ``build`` is called.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerasal import _keras as _keras

_ORIGIN = {"build": "kerasal.atlas.build_atlas", "Built": "kerasal.atlas.build_atlas"}

__all__ = ["Built", "build"]

if TYPE_CHECKING:
    from kerasal.atlas.build_atlas import Built, build


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _ORIGIN:
        return getattr(importlib.import_module(_ORIGIN[name]), name)
    raise AttributeError(f"module 'kerasal.atlas' has no attribute {name!r}; it has {', '.join(__all__)}")
