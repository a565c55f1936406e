"""The model zoo: a file for each model, whose docstring is the model card. Import it as ``kerasal.zoo``."""

if __name__ != "kerasal.zoo":
    raise ImportError(f"zoo must be imported as kerasal.zoo, got {__name__}. Write `from kerasal import zoo`.")

import importlib
import pkgutil
import types
import warnings

from kerasal import _keras as _keras

__all__ = sorted(file.name for file in pkgutil.iter_modules(__path__) if not file.name.startswith("_"))
for _name in __all__:
    importlib.import_module(f"{__name__}.{_name}")

_FORMER_NAMES = {
    "five_class": ("five_class_cnn",),
    "krizhevsky": ("alexnet",),
    "mnist": ("mnist_cnn",),
    "simonyan": ("simonyan_cnn",),
    "vgg": ("vgg16", "vgg19"),
    "zeiler_fergus": ("zfnet",),
}


def __getattr__(name: str):
    """Return the module of a model under the name that it had until 0.1.0."""
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}. Its models are {', '.join(__all__)}.")
    names = _FORMER_NAMES[name]
    warnings.warn(f"zoo.{name} is called {' and '.join(names)} now.", DeprecationWarning, stacklevel=2)
    if len(names) == 1:
        return globals()[names[0]]
    return types.SimpleNamespace(**{model: getattr(globals()[model], model) for model in names})


def __dir__() -> list[str]:
    return sorted(__all__)
