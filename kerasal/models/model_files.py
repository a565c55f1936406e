"""Loading of model files (Keras 3 ``.keras``, legacy ``.h5``, SavedModel folders), and the names of their outputs."""

import contextlib
import pathlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasal.archive_check import DamagedFile, check_claims, first_line
from kerasal.hooks.paths import name_outputs
from kerasal.models.saved_models import UntrustedCode, check_saved_model
from kerasal.process import check_process

import keras
import tensorflow as tf

_SIGNATURES = ("serving_default", "serve")


def load_file(path: pathlib.Path, *, unsafe: bool = False) -> keras.Model:
    """Load the model in ``path``; see ``kerasal.load_model``."""
    check_process()
    if path.is_dir():
        return _load_saved_model(path, unsafe=unsafe)
    if path.stat().st_size == 0:
        raise ValueError(f"{path} must be a .keras or .h5 model, got an empty file. Save the model again.")
    check_claims(path)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} must be a .keras file, which is a zip archive, got a damaged or different file. Save the model "
            "again."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not unsafe)  # pyright: ignore[reportReturnType]
    except Exception as error:
        reason = first_line(error)
        keras_message = str(error).replace(str(path), "").lower()  # Keras has no exception classes for these
        if "safe_mode" in keras_message or "unsafe" in keras_message:
            raise UntrustedCode(
                f"{path} contains code (a Lambda layer), which could do anything when it runs. If you trust the file, "
                "load it with unsafe=True."
            ) from error
        if "could not locate" in keras_message or "custom" in keras_message:
            raise ValueError(
                f"{path} uses a class that Keras does not know: {reason} Register the class with "
                "keras.saving.register_keras_serializable, or load the model yourself and pass the keras.Model."
            ) from error
        if path.suffix not in (".keras", ".h5", ".hdf5"):
            reason = "it must be a .keras or .h5 file, or a SavedModel folder."
        raise DamagedFile(f"{path} cannot be loaded as a Keras model: {reason}") from error


def _load_saved_model(path: pathlib.Path, *, unsafe: bool) -> keras.Model:
    """Return the serving signature of a SavedModel as a functional model, which can be run and differentiated."""
    if not (path / "saved_model.pb").is_file():
        raise ValueError(
            f"{path} must be a .keras or .h5 file or a SavedModel folder, got a folder without saved_model.pb."
        )
    with _damaged_file_errors(path):
        check_saved_model(path, unsafe=unsafe)
        signatures = tf.saved_model.load(path).signatures
    name = next((name for name in _SIGNATURES if name in signatures), None)
    if name is None:
        raise ValueError(
            f"{path} must have a signature {' or '.join(_SIGNATURES)}, got {sorted(signatures)}. Export the model with "
            "model.export(path)."
        )
    specs = signatures[name].structured_input_signature[1]
    if len(specs) != 1:
        raise ValueError(f"{path} must be a SavedModel with one input, got {len(specs)} ({', '.join(specs)}).")
    spec = next(iter(specs.values()))
    with _damaged_file_errors(path):
        inputs = keras.Input(shape=spec.shape[1:], dtype=spec.dtype.name, name=spec.name)
        outputs = keras.layers.TFSMLayer(str(path), call_endpoint=name)(inputs)
        if isinstance(outputs, dict) and len(outputs) == 1:
            outputs = next(iter(outputs.values()))
        return keras.Model(inputs, outputs, name=path.name)


@contextlib.contextmanager
def _damaged_file_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (UntrustedCode, DamagedFile):
        raise
    except Exception as error:  # protobuf, checkpoints and graphs raise many classes
        raise DamagedFile(
            f"{path} cannot be loaded as a SavedModel: {first_line(error)} It is damaged or was written by another "
            "version of TensorFlow. Export it again."
        ) from error


def output_shapes(model: keras.Model, spec: Callable[[], tf.TensorSpec]) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of a model's outputs by name, without the batch axis.

    A model that declares no outputs is traced for an input of the shape and dtype that ``spec`` returns.
    """
    if getattr(model, "outputs", None):
        outputs = named_outputs(model, getattr(model, "_outputs_struct", model.outputs))
    else:
        run = tf.function(lambda x: named_outputs(model, model(x, training=False)), autograph=False)
        outputs = run.get_concrete_function(spec()).structured_outputs
    return {name: tuple(output.shape[1:]) for name, output in outputs.items()}


def named_outputs(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Return a model's outputs by name; a single output is called ``scores``."""
    named = name_outputs(model, outputs)
    is_single = len(named) == 1 and not isinstance(outputs, Mapping)
    return {"scores": next(iter(named.values()))} if is_single else named
