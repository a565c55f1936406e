"""Loading and saving of weights: Keras files, and ``.npz`` archives of ``layer/weight`` arrays from any program."""

import contextlib
import json
import math
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from kerasal.archive_check import DamagedFile, ImplausibleFile, arrays, check_claims, first_line, npz_arrays
from kerasal.array_check import check_arrays
from kerasal.layers import LogDensity
from kerasal.models.model_files import load_file
from kerasal.store import write_arrays

import keras


def load_weights(model: keras.Model, path: pathlib.Path, *, allow_missing: bool = False) -> list[str]:
    """Load the weights of a model from a file; return the names of the layers for which the file has none.

    Args:
        model: a built Keras model.
        path: a ``.weights.h5``, ``.keras``, ``.h5`` or ``.npz`` file. The keys of an ``.npz`` are ``layer/weight``,
            such as ``"block1_conv1/kernel"``; layers of a nested model have no prefix.
        allow_missing: accept an ``.npz`` without weights for some layers, which stay unchanged.

    Raises:
        ValueError: the file cannot be read, or its arrays do not fit. The model stays unchanged.
    """
    if path.suffix == ".npz":
        with _unreadable_file_errors(path):
            shapes = npz_arrays(path)
        _match_names(model, shapes, path, allow_missing=allow_missing, ignore_unknown=False)  # before any array is read
        return set_arrays(model, read_npz(path), path, allow_missing=allow_missing)
    if path.is_file():
        check_claims(path)
    _check_fits(model, path)
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:  # Keras, zipfile and HDF5 raise many classes, some after loading a part
        model.set_weights(before)
        raise DamagedFile(f"{path} cannot be loaded into {model.name!r}: {first_line(error)}") from error
    return []


def set_arrays(
    model: keras.Model,
    arrays: dict[str, np.ndarray],
    origin: object,
    *,
    allow_missing: bool = False,
    ignore_unknown: bool = False,
) -> list[str]:
    """Set weights of a model from ``layer/weight`` arrays; return the names of the layers for which there are none.

    Args:
        model: a built Keras model.
        arrays: arrays by ``layer/weight``, as ``read_npz`` returns them.
        origin: where the arrays come from, for error messages.
        allow_missing: accept missing arrays; those layers stay unchanged.
        ignore_unknown: ignore arrays of layers that the model does not have.

    Raises:
        ValueError: names or shapes of the arrays do not fit the model.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    variables, missing = _match_names(model, shapes, origin, allow_missing=allow_missing, ignore_unknown=ignore_unknown)
    for name, variable in variables.items():
        if name in arrays:
            variable.assign(arrays[name])
    return list(dict.fromkeys(name.rpartition("/")[0] for name in missing))


def _match_names(
    model, shapes: dict[str, tuple], origin, *, allow_missing: bool, ignore_unknown: bool
) -> tuple[dict, list[str]]:
    """Return the variables of a model by ``layer/weight``, and the names without an array; raise if shapes differ."""
    variables = _named_variables(model)
    others = sorted(set(shapes) - set(variables))
    missing = [name for name in variables if name not in shapes]
    if (others and not ignore_unknown) or (missing and not allow_missing) or len(missing) == len(variables):
        problems = [f"{len(others)} unknown ({', '.join(others[:3])})"] if others else []
        problems += [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        raise ValueError(
            f"{origin} must contain arrays such as {next(iter(variables))!r}, got {' and '.join(problems)}."
        )
    for name, variable in variables.items():
        if name in shapes and tuple(shapes[name]) != tuple(variable.shape):
            raise ValueError(
                f"{origin}: {name} must have the shape {tuple(variable.shape)}, got {tuple(shapes[name])}."
            )
    return variables, missing


def _check_fits(model, path: pathlib.Path) -> None:
    """Raise a ValueError, before any array is read, if the shapes in a Keras file differ from those of the model.

    Keras ignores layers that only the file has, and reads an array before it compares the shape.
    """
    expected = [tuple(variable.shape) for variable in model.weights]
    if path.suffix == ".h5" and not path.name.endswith(".weights.h5"):
        # Keras compares the legacy format layer by layer, and it may store the axes of a kernel in another order.
        most = max((math.prod(shape) for shape in expected), default=0)
        large = [shape for _, shape, dtype in arrays(path) if dtype.kind == "f" and math.prod(shape) > most]
        if large:
            raise ValueError(
                f"Arrays in {path} must have at most {most} values, as in {model.name!r}, got the shape {large[0]}."
            )
        return
    stored = weight_shapes(path)
    if stored and sorted(stored) != sorted(expected):
        raise ValueError(
            f"{path} must contain {len(expected)} arrays with the shapes of the weights of {model.name!r}, got "
            f"{len(stored)} arrays with other shapes."
        )


def save_npz(model: keras.Model, path: pathlib.Path, dtype: str | None = None) -> pathlib.Path:
    """Write the weights of a model as an ``.npz`` of ``layer/weight`` arrays; return the path.

    ``dtype`` converts them, for example to ``"float16"``. The file appears only when it is complete, and equal weights
    give equal files.
    """
    variables = _named_variables(model)
    write_arrays(pathlib.Path(path), {name: np.asarray(value, dtype) for name, value in variables.items()})
    return pathlib.Path(path)


def weight_shapes(path: pathlib.Path) -> list[tuple[int, ...]]:
    """Return the shapes of the weights in a file, in no particular order; an empty list for an unreadable file."""
    try:
        if path.suffix == ".npz":
            return list(npz_arrays(path).values())
        # Weights of layers only, without the optimizer and the integer state of random generators.
        entries = [(name.split("/")[1], shape, dtype) for name, shape, dtype in arrays(path)]
        return [shape for part, shape, dtype in entries if part in ("layers", "model_weights") and dtype.kind == "f"]
    except Exception:  # HDF5 raises many classes on damaged files
        return []


def stored_image_size(path: pathlib.Path) -> tuple[int, ...] | None:
    """Return the ``image_size`` of the log-density of a ``.keras`` file; None for other files and other models."""
    if path.suffix != ".keras":
        return None
    try:
        check_claims(path)
        with zipfile.ZipFile(path) as archive:
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
        (config,) = [layer["config"] for layer in layers if layer["class_name"] == "LogDensity"]
        return LogDensity.from_config(config).image_size
    except Exception:  # what is wrong with the file is said when its weights are read
        return None


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file by name.

    Raises:
        ValueError: the file is damaged or not an ``.npz``.
    """
    with _unreadable_file_errors(path):
        check_arrays(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


@contextlib.contextmanager
def _unreadable_file_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except ImplausibleFile:
        raise
    except Exception as error:  # zip, zlib and NumPy raise different classes
        raise ValueError(f"{path} cannot be read as an npz archive of arrays: {first_line(error)}") from error


def _named_variables(model) -> dict:
    """Return the weights of a model by ``layer/weight``; a nested layer's weights have only that layer's name."""
    variables = {}
    for layer in model._flatten_layers(include_self=False):
        nested = {id(variable) for inner in layer._flatten_layers(include_self=False) for variable in inner.variables}
        weights = [variable for variable in layer.weights if id(variable) not in nested]
        variables |= {f"{layer.name}/{variable.name}": variable for variable in weights}
    return variables


def load_folded_convolutions(model: keras.Model, path: pathlib.Path) -> None:
    """Set the convolutions of a model to those of a ``.keras`` file with batch normalization folded into them.

    In the file, a convolution X or X_conv is followed by a batch normalization X_bn; ``model`` has the convolution
    with a bias instead. With g = gamma / sqrt(variance + epsilon), the kernel K becomes g K, and the bias becomes
    beta - g mean (Jacob et al. 2018, section 3.2). Other layers of the file are ignored.

    Args:
        model: a model whose layers with weights are all convolutions with a bias.
        path: the ``.keras`` file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file has no layer of this name, or its shape differs. The model stays unchanged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}.")
    source = load_file(path, unsafe=False)
    source_layers = {layer.name: layer for layer in source._flatten_layers()}
    folded = []
    for layer in model.layers:
        if not layer.weights:
            continue
        norm = source_layers.get(f"{layer.name.removesuffix('_conv')}_bn")
        if layer.name not in source_layers or norm is None:
            raise ValueError(f"{path} has no {layer.name} with a batch normalization after it.")
        kernel = np.asarray(source_layers[layer.name].kernel)
        if kernel.shape != tuple(layer.kernel.shape):
            raise ValueError(
                f"{path}: {layer.name} must have the shape {tuple(layer.kernel.shape)}, got {kernel.shape}."
            )
        gamma, beta, mean, variance = (
            np.asarray(variable) for variable in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        scale = gamma / np.sqrt(variance + norm.epsilon)
        filters = kernel.shape[3:] if kernel.shape[3] == scale.size else kernel.shape[2:]  # depthwise: (C, M)
        folded.append((layer, kernel * scale.reshape(filters), beta - scale * mean))
    for layer, kernel, bias in folded:
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)
