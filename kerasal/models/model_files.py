"""Load a user's own model file (Keras 3 ``.keras``, legacy ``.h5``, a SavedModel folder), and say what it gives."""

import contextlib
import pathlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasal.archive_check import DamagedFile, check_claims, first_line
from kerasal.models.saved_models import UntrustedCode, check_saved_model
from kerasal.process import check_process

import keras
import tensorflow as tf

_SIGNATURES = ("serving_default", "serve")


def load_file(path: pathlib.Path, *, unsafe: bool = False) -> keras.Model:
    """Load ``path``; see ``kerasal.load_model``."""
    check_process()
    if path.is_dir():
        return _load_saved_model(path, unsafe=unsafe)
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is an empty file; expected a .keras or .h5 model.")
    check_claims(path)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is damaged or not a Keras file: a .keras file is a zip archive. Save the model again."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not unsafe)  # pyright: ignore[reportReturnType]
    except Exception as error:
        reason = first_line(error)
        said = str(error).replace(str(path), "").lower()  # Keras has no classes of error for these
        if "safe_mode" in said or "unsafe" in said:
            raise UntrustedCode(
                f"{path} contains code (a Lambda layer), which is run only if you trust the file: pass unsafe=True to "
                "kerasal.load_model."
            ) from error
        if "could not locate" in said or "custom" in said:
            raise ValueError(
                f"{path} needs a class that Keras does not know: {reason} Import and register it "
                "(keras.saving.register_keras_serializable) and pass the loaded model from Python."
            ) from error
        if path.suffix not in (".keras", ".h5", ".hdf5"):
            reason = "expected a .keras or .h5 file, or a SavedModel folder."
        raise DamagedFile(f"{path} cannot be loaded as a Keras model: {reason}") from error


def _load_saved_model(path: pathlib.Path, *, unsafe: bool) -> keras.Model:
    """Wrap a SavedModel's serving signature as a functional model, which can be run and differentiated."""
    if not (path / "saved_model.pb").is_file():
        raise ValueError(
            f"{path} is a folder without a saved_model.pb; expected a SavedModel folder, a .keras or a .h5 file."
        )
    with _loading(path):
        check_saved_model(path, unsafe=unsafe)
        signatures = tf.saved_model.load(path).signatures
    name = next((name for name in _SIGNATURES if name in signatures), None)
    if name is None:
        raise ValueError(f"{path} has the signatures {sorted(signatures)}; expected one of {_SIGNATURES}.")
    specs = signatures[name].structured_input_signature[1]
    if len(specs) != 1:
        raise ValueError(
            f"{path} takes {len(specs)} inputs ({', '.join(specs)}); a SavedModel with one input is expected."
        )
    spec = next(iter(specs.values()))
    with _loading(path):
        inputs = keras.Input(shape=spec.shape[1:], dtype=spec.dtype.name, name=spec.name)
        outputs = keras.layers.TFSMLayer(str(path), call_endpoint=name)(inputs)
        if isinstance(outputs, dict) and len(outputs) == 1:
            outputs = next(iter(outputs.values()))
        return keras.Model(inputs, outputs, name=path.name)


@contextlib.contextmanager
def _loading(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (UntrustedCode, DamagedFile):
        raise
    except Exception as error:  # protobuf, the checkpoint, the graph: each has its own
        raise DamagedFile(
            f"{path} cannot be loaded as a SavedModel: {first_line(error)} It is damaged, or of another version of "
            "TensorFlow. Export it again."
        ) from error


def output_shapes(model: keras.Model, spec: Callable[[], tf.TensorSpec]) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of a model's outputs by name, without the batch axis; ``spec`` gives its input if needed."""
    if getattr(model, "outputs", None):
        outputs = named_outputs(model, getattr(model, "_outputs_struct", model.outputs))
    else:
        run = tf.function(lambda x: named_outputs(model, model(x, training=False)), autograph=False)
        outputs = run.get_concrete_function(spec()).structured_outputs
    return {name: tuple(one.shape[1:]) for name, one in outputs.items()}


def named_outputs(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Return a model's outputs by name: ``scores`` where there is one."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    flat = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if len(flat) == 1:
        return {"scores": flat[0]}
    names = getattr(model, "output_names", None) or []
    return dict(zip(names if len(names) == len(flat) else map(str, range(len(flat))), flat, strict=True))
