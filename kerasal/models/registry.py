"""The registry: a model is a decorated function, and its name is the function's name.

A file of ``kerasal.zoo``, or of any package that names a module in the entry-point group ``kerasal.models``, says

    @register(preprocessing="unit", task="classification", input_shape=(28, 28, 1), parameters=53_002, reference="...")
    def mnist_cnn(*, classes=10) -> keras.Model: ...

and ``list_models``, ``create_model``, ``model_spec``, the command line and the registry-wide tests all know it.
"""

import dataclasses
import functools
import importlib
import importlib.metadata
import inspect
import os
import pathlib
import types
import warnings
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from kerasal.archive_check import first_line
from kerasal.digests import digest_file
from kerasal.names import unknown_name_message
from kerasal.process import check_process

if TYPE_CHECKING:
    import keras

__all__ = ["ModelSpec", "Weights", "create_model", "list_models", "load_model", "model_spec", "register"]


@dataclasses.dataclass(frozen=True)
class Weights:
    """Trained weights of a model.

    Either a file that ships, with its SHA-256, or, without a file, a name that the model's own function understands
    and may have to download.
    """

    description: str
    file: pathlib.Path | None = None
    sha256: str | None = None


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """What is known of a model without building it.

    ``input_shape`` is (H, W, C), for a net of any size that at which it is best; ``parameters`` counts the default
    options' weights, ``recipe`` holds the arguments of ``kerasal.training.train``, which made the weights where some
    ship, and what ``data`` they are for; ``weights`` maps names to what they load. ``identify`` says of a weights
    file's array shapes which options they are of, or returns ``None``.
    """

    name: str
    build: Callable[..., Any]
    preprocessing: str
    task: str
    input_shape: tuple[int | None, ...]
    parameters: int
    reference: str
    weights: Mapping[str, Weights] = dataclasses.field(default_factory=dict)
    recipe: Mapping[str, Any] | None = None
    labels: str | None = None
    identify: Callable[[list[tuple[int, ...]]], str | None] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options of ``create_model`` and their defaults."""
        found = inspect.signature(self.build).parameters.values()
        return {parameter.name: parameter.default for parameter in found if parameter.name != "weights"}

    @property
    def card(self) -> str:
        """The model card: the docstring of the file that defines the model."""
        return inspect.getdoc(importlib.import_module(self.build.__module__)) or ""


_specs: dict[str, ModelSpec] = {}


def register(**facts: Any) -> Callable[[Callable], Callable]:
    """Enter the decorated function into the registry under its own name; ``facts`` are the fields of ``ModelSpec``.

    Raises:
        ValueError: two modules define a model of one name.
    """

    def enter(build: Callable) -> Callable:
        name = build.__name__
        if name in _specs:
            raise ValueError(
                f"Two models are named {name!r}: one in {_specs[name].build.__module__}, one in {build.__module__}. "
                "Rename one of the functions."
            )
        if isinstance(facts.get("weights"), dict):
            facts["weights"] = types.MappingProxyType(facts["weights"])
        _specs[name] = ModelSpec(name=name, build=build, **facts)
        return build

    return enter


def list_models(pattern: str = "*") -> list[str]:
    """List the names of all models, sorted, or of those that match a shell pattern such as ``"vgg*"``."""
    _load_all()
    return sorted(name for name in _specs if fnmatchcase(name, pattern))


def model_spec(name: str) -> ModelSpec:
    """Return what is known of the model ``name``.

    Raises:
        ValueError: no model has that name; the closest are listed.
    """
    _load_all()
    if name not in _specs:
        raise ValueError(unknown_name_message(name, _specs, "model"))
    return _specs[name]


def create_model(name: str, weights: str | os.PathLike | None = None, **options: Any) -> "keras.Model":
    """Build the model ``name`` as a ``keras.Model``.

    Args:
        name: one of ``list_models()``.
        weights: ``None`` for random initialization, a name from ``model_spec(name).weights``, or the path of a
            ``.weights.h5``, ``.keras`` or ``.h5`` file with weights for exactly this architecture, or of an ``.npz``
            file with entries ``layer/variable`` for some of its layers; the others stay random, with a warning.
        **options: the model's own options, see ``model_spec(name).options``.

    Raises:
        ValueError: unknown name, option or weights (what exists is listed), weights that do not fit the architecture,
            or a shipped file that is damaged.
        FileNotFoundError: ``weights`` is a path at which there is no file.
    """
    check_process()
    spec = model_spec(name)
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        raise ValueError(unknown_name_message(unknown[0], spec.options, "option", f" of {name}"))
    _check_weights_name(spec, weights)
    origin = spec.weights.get(weights) if isinstance(weights, str) else None
    path = origin.file if origin else None if weights is None else pathlib.Path(weights)
    if path is None:
        downloaded = {} if origin is None else {"weights": weights}
        return spec.build(**downloaded, **options)
    if origin is not None:
        _verify(path, origin.sha256, f"The shipped weights {weights!r} of {name}")
    from kerasal.models.weight_files import load_weights, weight_shapes

    model = spec.build(**options)
    try:
        with warnings.catch_warnings(record=True) as said:  # Keras also warns of what it then raises
            warnings.simplefilter("always")
            missing = load_weights(model, path, partly=True)
    except (ValueError, KeyError, OSError, TypeError) as error:
        chosen = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "its default options"
        options_of_file = spec.identify(weight_shapes(path)) if spec.identify else None
        whose = f"They are of {name} with {options_of_file}. " if options_of_file else ""
        raise ValueError(
            f"The weights {str(weights)!r} do not fit {name} with {chosen}. {whose}{first_line(error)}"
        ) from error
    for warning in said:
        warnings.warn(warning.message, stacklevel=2)
    if missing:
        listed = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        warnings.warn(f"{path} has no weights for {len(missing)} layers, which stay random: {listed}.", stacklevel=2)
    return model


def load_model(path_or_name: str | os.PathLike, *, unsafe: bool = False) -> "keras.Model":
    """Load a zoo model by name (with its shipped weights where it has some), a Keras file, or a SavedModel folder.

    Args:
        path_or_name: a name from ``list_models()``, a ``.keras`` or ``.h5`` file, or a SavedModel folder. A SavedModel
            can be run and differentiated, but has no layers to look into.
        unsafe: allow code inside the file to run: ``Lambda`` layers, and operations of a SavedModel that can do more
            than compute (``kerasal.models.saved_models``). Only for files that you trust.

    Raises:
        UntrustedCode: a ValueError: the file holds such code, and ``unsafe`` is not set.
        ValueError: neither a known name nor a file; or a file that is no Keras model.
    """
    from kerasal.models import model_files

    text = os.fspath(path_or_name)
    saved = os.path.isfile(text) or os.path.isfile(os.path.join(text, "saved_model.pb"))
    if saved or (os.path.exists(text) and text not in list_models()):  # a folder of results may be named like a net
        _load_all()  # the zoo brings the layers that its saved models name
        return model_files.load_file(pathlib.Path(text), unsafe=unsafe)
    if os.sep in text or text.endswith((".keras", ".h5", ".hdf5")):
        raise FileNotFoundError(
            f"There is no model file {text}. A zoo model goes by its name: {', '.join(list_models())}."
        )
    spec = model_spec(text)
    shipped = [name for name, origin in spec.weights.items() if origin.file is not None]
    return create_model(text, weights=shipped[0] if shipped else None)


def _check_weights_name(spec: ModelSpec, weights) -> None:
    if weights is None or weights in spec.weights:
        return
    looks_like_path = not isinstance(weights, str) or os.sep in weights or pathlib.Path(weights).suffix
    if os.path.isfile(weights):
        return
    names = ", ".join(repr(name) for name in spec.weights) or "no named weights"
    message = (
        f"{spec.name} has {names}; expected one of them, None, or the path of a weights file. Received: {weights!r}."
    )
    if looks_like_path:
        raise FileNotFoundError(f"There is no weights file {os.fspath(weights)}. {message}")
    raise ValueError(message)


def _verify(file: pathlib.Path, sha256: str | None, what: str) -> None:
    if not file.is_file():
        raise ValueError(f"{what} are missing ({file}). Install kerasal again.")
    if (received := digest_file(file)) != sha256:
        raise ValueError(
            f"{what} are damaged: expected SHA-256 {sha256}, received {received} ({file}). Install kerasal again."
        )


@functools.cache
def _load_all() -> None:
    """Import the zoo and what other packages name in the entry-point group ``kerasal.models``."""
    importlib.import_module("kerasal.zoo")
    for point in importlib.metadata.entry_points(group="kerasal.models"):
        try:
            point.load()
        except Exception as error:  # somebody else's package must not take the zoo down with it
            warnings.warn(
                f"The models of {point.value!r} (entry point {point.name!r} in the group kerasal.models) could not be "
                f"loaded: {error}",
                stacklevel=3,
            )
