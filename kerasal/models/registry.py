"""The registry of named models: each is a decorated function, and its name is the function's name.

A module of ``kerasal.zoo``, or of any package that lists it in the entry-point group ``kerasal.models``, defines

    @register(preprocessing="unit", task="classification", input_shape=(28, 28, 1), parameters=53_002, reference="...")
    def mnist_cnn(*, classes=10) -> keras.Model: ...

and ``list_models``, ``create_model``, ``model_spec``, the command line and the tests of the registry include it.
"""

import functools
import importlib
import importlib.metadata
import os
import pathlib
import types
import warnings
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from kerasal.archive_check import first_line
from kerasal.models.model_specs import ModelSpec, Weights
from kerasal.names import unknown_name_message
from kerasal.process import check_process

if TYPE_CHECKING:
    import keras

__all__ = ["ModelSpec", "Weights", "create_model", "list_models", "load_model", "model_spec", "register"]


_specs: dict[str, ModelSpec] = {}


def register(**facts: Any) -> Callable[[Callable], Callable]:
    """Return a decorator that adds a function to the registry by its name; ``facts`` are the fields of ``ModelSpec``.

    Raises:
        ValueError: two modules define a model of the same name.
    """

    def add_model(build: Callable) -> Callable:
        name = build.__name__
        if name in _specs:
            raise ValueError(
                f"Model names must be unique, got {name!r} from both {_specs[name].build.__module__} and "
                f"{build.__module__}. Rename one of the functions."
            )
        if isinstance(facts.get("weights"), dict):
            facts["weights"] = types.MappingProxyType(facts["weights"])
        _specs[name] = ModelSpec(name=name, build=build, **facts)
        return build

    return add_model


def list_models(pattern: str = "*") -> list[str]:
    """Return the sorted names of all models, or of those that match a shell pattern such as ``"vgg*"``."""
    _load_all()
    return sorted(name for name in _specs if fnmatchcase(name, pattern))


def model_spec(name: str) -> ModelSpec:
    """Return the description of a model without building it.

    Raises:
        ValueError: no model has this name; the message lists the closest names.
    """
    _load_all()
    if name not in _specs:
        raise ValueError(unknown_name_message(name, _specs, "model"))
    return _specs[name]


def create_model(name: str, weights: str | os.PathLike | None = None, **options: Any) -> "keras.Model":
    """Return a newly built ``keras.Model`` by its name in the zoo.

    Args:
        name: a name from ``list_models()``.
        weights: ``None`` for random initialization, a name from ``model_spec(name).weights``, or the path of a
            ``.weights.h5``, ``.keras`` or ``.h5`` file with weights for exactly this architecture, or of an ``.npz``
            file with arrays ``layer/variable`` for some of its layers; the others stay random, with a warning. A
            ``.keras`` file of a gaze model also gives its ``image_size``.
        **options: options of the model, see ``model_spec(name).options``. Named weights may belong to other options
            than the defaults (``Weights.options``), which then need not be passed.

    Raises:
        ValueError: the name, an option or the name of the weights is unknown (the message lists those that exist), the
            weights do not fit the architecture, or a bundled file is damaged.
        FileNotFoundError: ``weights`` is the path of a file that does not exist.
    """
    check_process()
    spec = model_spec(name)
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        raise ValueError(unknown_name_message(unknown[0], spec.options, "option", f" of {name}"))
    _check_weights_name(spec, weights)
    origin = spec.weights.get(weights) if isinstance(weights, str) else None
    options = {**origin.options, **options} if origin else options
    path = origin.file if origin else None if weights is None else pathlib.Path(weights)
    if path is None:
        downloaded = {} if origin is None else {"weights": weights}
        return _build(spec, **downloaded, **options)
    if origin is not None:
        origin.verify(f"The bundled weights {weights!r} of {name}")
    from kerasal.models.weight_files import load_weights, set_arrays, stored_image_size, weight_shapes

    if "image_size" in spec.options and (stored := stored_image_size(path)):
        options = {"image_size": stored, **options}
    model = _build(spec, **options)
    try:
        with warnings.catch_warnings(record=True) as caught:  # before an error, Keras warns of the same thing
            warnings.simplefilter("always")
            if origin is not None and origin.read is not None:
                missing = set_arrays(model, dict(origin.read(path)), path, ignore_unknown=True)
            else:
                missing = load_weights(model, path, allow_missing=True)
    except (ValueError, KeyError, OSError, TypeError) as error:
        chosen = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "its default options"
        options_of_file = spec.identify(weight_shapes(path)) if spec.identify else None
        hint = f"They belong to {name} with {options_of_file}. " if options_of_file else ""
        raise ValueError(
            f"The weights {str(weights)!r} do not fit {name} with {chosen}. {hint}{first_line(error)}"
        ) from error
    for warning in caught:
        warnings.warn(warning.message, stacklevel=2)
    if missing:
        listed = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        warnings.warn(f"{path} has no weights for {len(missing)} layers, which stay random: {listed}.", stacklevel=2)
    return model


def load_model(path_or_name: str | os.PathLike, *, unsafe: bool = False) -> "keras.Model":
    """Return the ``keras.Model`` of a zoo name (with its bundled weights, if any), a Keras file or a SavedModel folder.

    Args:
        path_or_name: a name from ``list_models()``, a ``.keras`` or ``.h5`` file, or a SavedModel folder. A SavedModel
            can be run and differentiated, but its layers cannot be accessed.
        unsafe: allow code inside the file to run: ``Lambda`` layers, and operations of a SavedModel that can do more
            than compute (``kerasal.models.saved_models``). Only for files that you trust.

    Raises:
        UntrustedCode: a ValueError; the file contains such code, and ``unsafe`` is not set.
        ValueError: the name is unknown, or the file is not a Keras model.
        FileNotFoundError: there is no file at the path.
    """
    from kerasal.models import model_files

    text = os.fspath(path_or_name)
    saved = os.path.isfile(text) or os.path.isfile(os.path.join(text, "saved_model.pb"))
    if saved or (os.path.exists(text) and text not in list_models()):  # a folder of results may have a model's name
        _load_all()  # registers the custom layers of zoo models
        return model_files.load_file(pathlib.Path(text), unsafe=unsafe)
    if os.sep in text or text.endswith((".keras", ".h5", ".hdf5")):
        raise FileNotFoundError(
            f"There is no model file {text}. Check the path, or pass the name of a zoo model: "
            f"{', '.join(list_models())}."
        )
    spec = model_spec(text)
    shipped = [name for name, origin in spec.weights.items() if origin.file is not None]
    return create_model(text, weights=shipped[0] if shipped else None)


def _build(spec: ModelSpec, **options: Any) -> "keras.Model":
    """Return the model of a spec, whose preprocessing is recognized later, also from the plain ``keras.Model``."""
    from kerasal.models.recognition import note_zoo_model

    model = spec.build(**options)
    note_zoo_model(model, spec.name, spec.preprocessing)
    return model


def _check_weights_name(spec: ModelSpec, weights) -> None:
    if weights is None or weights in spec.weights:
        return
    looks_like_path = not isinstance(weights, str) or os.sep in weights or pathlib.Path(weights).suffix
    if os.path.isfile(weights):
        return
    names = "".join(f"{name!r}, " for name in spec.weights)
    message = f"weights of {spec.name} must be {names}None, or the path of a weights file, got {weights!r}."
    if looks_like_path:
        raise FileNotFoundError(f"There is no weights file {os.fspath(weights)}. {message}")
    raise ValueError(message)


@functools.cache
def _load_all() -> None:
    """Import the zoo and the modules that other packages list in the entry-point group ``kerasal.models``."""
    importlib.import_module("kerasal.zoo")
    for point in importlib.metadata.entry_points(group="kerasal.models"):
        try:
            point.load()
        except Exception as error:  # a broken package must not make the zoo unusable
            warnings.warn(
                f"The models of {point.value!r} (entry point {point.name!r} in the group kerasal.models) could not be "
                f"loaded: {error}",
                stacklevel=3,
            )
