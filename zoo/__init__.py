"""The models: one file per model, whose docstring is the model card. Installed and imported as ``kerasal.zoo``."""

if __name__ != "kerasal.zoo":
    raise ImportError("The zoo is imported as kerasal.zoo, never as a top-level zoo: write `from kerasal import zoo`.")

import types
import warnings

from kerasal import _keras as _keras
from kerasal.zoo import alexnet as alexnet
from kerasal.zoo import deep_saliency as deep_saliency
from kerasal.zoo import five_class_cnn as five_class_cnn
from kerasal.zoo import gaze as gaze
from kerasal.zoo import mnist_cnn as mnist_cnn
from kerasal.zoo import salnet as salnet
from kerasal.zoo import shallow_saliency as shallow_saliency
from kerasal.zoo import simonyan_cnn as simonyan_cnn
from kerasal.zoo import vgg16 as vgg16
from kerasal.zoo import vgg19 as vgg19
from kerasal.zoo import zfnet as zfnet

__all__ = [
    "alexnet",
    "deep_saliency",
    "five_class_cnn",
    "gaze",
    "mnist_cnn",
    "salnet",
    "shallow_saliency",
    "simonyan_cnn",
    "vgg16",
    "vgg19",
    "zfnet",
]

_FORMER_NAMES = {
    "five_class": ("five_class_cnn",),
    "krizhevsky": ("alexnet",),
    "mnist": ("mnist_cnn",),
    "simonyan": ("simonyan_cnn",),
    "vgg": ("vgg16", "vgg19"),
    "zeiler_fergus": ("zfnet",),
}


def __getattr__(name: str):
    """Find a model file under the name that it had until 0.1.0."""
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    names = _FORMER_NAMES[name]
    warnings.warn(f"zoo.{name} is called {' and '.join(names)} now.", DeprecationWarning, stacklevel=2)
    if len(names) == 1:
        return globals()[names[0]]
    return types.SimpleNamespace(**{model: getattr(globals()[model], model) for model in names})


def __dir__() -> list[str]:
    return sorted(__all__)
