"""A live page in the browser: drop a photo, choose class, layer and method, and see the map on the photo.

* ``view``: serve the page of a model on this machine, until it is interrupted. Needs the extra ``kerasal[view]``.

The page is made with Streamlit. It listens on the loopback interface only, so that other machines cannot reach it, and
neither the page nor the server loads anything from the network. Importing this package loads neither TensorFlow nor
Streamlit.
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["view"]

if TYPE_CHECKING:
    from kerasal.viewer.page_server import view


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name == "view":
        return importlib.import_module("kerasal.viewer.page_server").view
    raise AttributeError(f"module 'kerasal.viewer' has no attribute {name!r}; it has {', '.join(__all__)}")
