"""See what a Keras network sees, and where people look.

All functions of this package share these conventions:

* **Images** are uint8 RGB arrays ``(H, W, 3)``. **Model inputs** are float32 ``(N, H, W, C)``, channels last, already
  preprocessed (``kerasal.preprocessing``); a single image without a batch axis is treated as a batch of size 1.
* **Maps** are returned raw, as float32, with a sign if the method is signed. Only drawing (``kerasal.images``)
  normalizes them.
* **Coordinates** are ``(x, y)`` in pixels, from 0; **boxes** are ``(x_min, y_min, x_max, y_max)`` with exclusive upper
  bounds.
* **Layers** are identified by their path at any depth of nested models, ``"vgg16/block5_conv3"``; the last part is
  enough if it is unique.
* **Scores** are logits by default: values before the last softmax or sigmoid. The model is never changed for this.
* Random functions take a ``seed``. Nothing is downloaded unless pretrained weights are requested by name.
* TensorFlow does not work after ``os.fork``: in a forked child of a process that has run it, functions raise
  ``kerasal.process.ForkedProcess``. Start workers with ``multiprocessing.get_context("spawn")``.

Importing this package loads neither TensorFlow nor Keras; the first use of any of its names does.
"""

import importlib
import pathlib
from typing import TYPE_CHECKING

from kerasal import process as _process  # noqa: F401  (detects forks from here on)
from kerasal._version import __version__ as __version__

# In a checkout that is not installed, the folder of kerasal.zoo is beside that of this package (see setup.cfg).
_checkout = pathlib.Path(__file__).resolve().parent.parent
if (_checkout / "setup.cfg").is_file() and (_checkout / "zoo" / "__init__.py").is_file():
    __path__.append(str(_checkout))

_ORIGIN = {
    "open_model": "kerasal.models",
    "describe": "kerasal.description",
    "explain": "kerasal.attribution.explanation",
    "list_models": "kerasal.models.registry",
    "create_model": "kerasal.models.registry",
    "model_spec": "kerasal.models.registry",
    "load_model": "kerasal.models.registry",
    "feature_maps": "kerasal.features",
    "maximize": "kerasal.maximization",
    "export": "kerasal.serving",
    "KerasalCallback": "kerasal.callbacks",
    "view": "kerasal.viewer",
}
_MODULES = (
    "atlas",
    "attribution",
    "batch",
    "callbacks",
    "compat",
    "datasets",
    "diagnosis",
    "features",
    "gaze",
    "gaze_page",
    "hooks",
    "images",
    "labels",
    "layers",
    "localization",
    "losses",
    "maximization",
    "metrics",
    "models",
    "objectives",
    "preprocessing",
    "probe",
    "receptive_field",
    "report",
    "serving",
    "training",
    "viewer",
    "zoo",
)

__all__ = [*_ORIGIN, *_MODULES]

if TYPE_CHECKING:
    from kerasal.attribution.explanation import explain as explain
    from kerasal.callbacks import KerasalCallback as KerasalCallback
    from kerasal.description import describe as describe
    from kerasal.features import feature_maps as feature_maps
    from kerasal.maximization import maximize as maximize
    from kerasal.models import open_model as open_model
    from kerasal.models.registry import create_model as create_model
    from kerasal.models.registry import list_models as list_models
    from kerasal.models.registry import load_model as load_model
    from kerasal.models.registry import model_spec as model_spec
    from kerasal.serving import export as export
    from kerasal.viewer import view as view


def __getattr__(name: str):
    if name in _ORIGIN:
        return getattr(importlib.import_module(_ORIGIN[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"kerasal.{name}")
    from kerasal.names import unknown_name_message

    hint = "Attribution is kerasal.attribution (why a model decides), gaze is kerasal.gaze (where people look)."
    message = unknown_name_message(name, __all__, "attribute", " of kerasal")
    ambiguous = name.startswith(("salienc", "heatmap", "heat_map"))
    raise AttributeError(f"Unknown attribute {name!r} of kerasal. {hint}" if ambiguous else message, name=name)


def __dir__():
    return sorted([*__all__, "__version__"])
