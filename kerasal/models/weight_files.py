"""Weights as files: Keras' own, and ``.npz`` archives of ``layer/weight`` arrays, which any program can write."""

import contextlib
import math
import pathlib
from collections.abc import Iterator

import numpy as np

from kerasal.archive_check import DamagedFile, ImplausibleFile, arrays, check_claims, first_line, npz_arrays
from kerasal.array_check import check_arrays
from kerasal.models.model_files import load_file
from kerasal.store import write_arrays

import keras


def load_weights(model: keras.Model, path: pathlib.Path, *, partly: bool = False) -> list[str]:
    """Load a ``.weights.h5``, ``.keras``, ``.h5`` or ``.npz`` file into a model; return the layers that it lacks.

    Args:
        model: a built Keras model.
        path: the file; in an ``.npz`` the keys are ``layer/weight``, such as ``"block1_conv1/kernel"``, where a nested
            model's layers go by their own names.
        partly: let an ``.npz`` lack layers, which then stay as they are.

    Raises:
        ValueError: the file cannot be read, or its arrays do not fit; the model is unchanged then.
    """
    if path.suffix == ".npz":
        with _reading(path):
            shapes = npz_arrays(path)
        _own_names(model, shapes, path, partly=partly, spare=False)  # before anything is read
        return set_arrays(model, read_npz(path), path, partly=partly)
    if path.is_file():
        check_claims(path)
    _check_fits(model, path)
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:  # Keras, zipfile and HDF5 raise anything, some of it half-way
        model.set_weights(before)
        raise DamagedFile(f"{path} cannot be read into {model.name!r}: {first_line(error)}") from error
    return []


def set_arrays(
    model: keras.Model, arrays: dict[str, np.ndarray], origin: object, *, partly: bool = False, spare: bool = False
) -> list[str]:
    """Set a model's weights to ``layer/weight`` arrays; return the layers without any. See ``load_weights``.

    Args:
        model: a built Keras model.
        arrays: as an ``.npz`` has them.
        origin: what errors call them.
        partly: let layers of the model have no array.
        spare: leave out arrays of layers that the model has not.

    """
    shapes = {name: array.shape for name, array in arrays.items()}
    variables, missing = _own_names(model, shapes, origin, partly=partly, spare=spare)
    for name, variable in variables.items():
        if name in arrays:
            variable.assign(arrays[name])
    return list(dict.fromkeys(name.rpartition("/")[0] for name in missing))


def _own_names(model, shapes: dict[str, tuple], origin, *, partly: bool, spare: bool) -> tuple[dict, list[str]]:
    """Return a model's variables by ``layer/weight``, and the names that are not there; refuse what does not fit."""
    variables = _variables(model)
    others = sorted(set(shapes) - set(variables))
    missing = [name for name in variables if name not in shapes]
    if (others and not spare) or (missing and not partly) or len(missing) == len(variables):
        raise ValueError(
            f"{origin}: expected arrays such as {next(iter(variables))!r}; "
            f"{len(others)} unknown ({', '.join(others[:3])}), {len(missing)} missing ({', '.join(missing[:3])})."
        )
    for name, variable in variables.items():
        if name in shapes and tuple(shapes[name]) != tuple(variable.shape):
            raise ValueError(f"{origin}: {name} is {tuple(shapes[name])}, expected {tuple(variable.shape)}.")
    return variables, missing


def _check_fits(model, path: pathlib.Path) -> None:
    """Refuse a file with other weights than the model's before any is read.

    Keras passes over the layers that only the file has, and reads an array before it looks at its shape.
    """
    own = [tuple(one.shape) for one in model.weights]
    if path.suffix == ".h5" and not path.name.endswith(".weights.h5"):
        # The old format is compared layer by layer, and may keep a kernel in another order of axes.
        most = max((math.prod(shape) for shape in own), default=0)
        large = [shape for _, shape, dtype in arrays(path) if dtype.kind == "f" and math.prod(shape) > most]
        if large:
            raise ValueError(f"The file holds an array of {large[0]}; the model's largest has {most} values.")
        return
    stored = weight_shapes(path)
    if stored and sorted(stored) != sorted(own):
        raise ValueError(f"The file holds {len(stored)} arrays, the model {len(own)}, or of other shapes.")


def save_npz(model: keras.Model, path: pathlib.Path, dtype: str | None = None) -> pathlib.Path:
    """Write a model's weights as an ``.npz`` of ``layer/weight`` arrays, as they are or as ``"float16"``.

    The file is written beside ``path`` and renamed, and is the same for the same weights.
    """
    write_arrays(pathlib.Path(path), {name: np.asarray(one, dtype) for name, one in _variables(model).items()})
    return pathlib.Path(path)


def weight_shapes(path: pathlib.Path) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays in a weights file, in no special order; none where it cannot be read."""
    try:
        if path.suffix == ".npz":
            return list(npz_arrays(path).values())
        # Those of layers, not the optimizer's, and not the state of a layer's random draws.
        found = [(name.split("/")[1], shape, dtype) for name, shape, dtype in arrays(path)]
        return [shape for part, shape, dtype in found if part in ("layers", "model_weights") and dtype.kind == "f"]
    except Exception:  # a damaged file, which HDF5 calls anything
        return []


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file; ValueError for another or a damaged one."""
    with _reading(path):
        check_arrays(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except ImplausibleFile:
        raise
    except Exception as error:  # zip, zlib and NumPy each have their own
        raise ValueError(f"{path} cannot be read as an npz archive of arrays: {first_line(error)}") from error


def _variables(model) -> dict:
    """Return a model's weights by ``layer/weight``, without those of layers within it and the state of random draws."""
    found = {}
    for layer in model._flatten_layers(include_self=False):
        nested = {id(one) for inner in layer._flatten_layers(include_self=False) for one in inner.variables}
        found |= {f"{layer.name}/{one.name}": one for one in layer.weights if id(one) not in nested}
    return found


def load_folded(model: keras.Model, path: pathlib.Path) -> None:
    """Load a ``.keras`` file's convolutions, their batch normalizations folded in, into those of the same names.

    A convolution X or X_conv of the file is followed by a normalization X_bn; ``model`` has X with a bias instead. With
    g = gamma / sqrt(variance + epsilon) the kernel becomes g K, and the bias beta - g mean (Jacob et al. 2018, section
    3.2). Layers that only the file has are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file lacks a layer of the model, or has it in another shape; the model is unchanged then.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {path}.")
    source = load_file(path, unsafe=False)
    there = {layer.name: layer for layer in source._flatten_layers()}
    found = []
    for layer in model.layers:
        if not layer.weights:
            continue
        norm = there.get(f"{layer.name.removesuffix('_conv')}_bn")
        if layer.name not in there or norm is None:
            raise ValueError(f"{path} has no {layer.name} with a batch normalization after it.")
        kernel = np.asarray(there[layer.name].kernel)
        if kernel.shape != tuple(layer.kernel.shape):
            raise ValueError(f"{path}: {layer.name} is {kernel.shape}, expected {tuple(layer.kernel.shape)}.")
        gamma, beta, mean, variance = (
            np.asarray(one) for one in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        scale = gamma / np.sqrt(variance + norm.epsilon)
        filters = kernel.shape[3:] if kernel.shape[3] == scale.size else kernel.shape[2:]  # a depthwise one: (C, M)
        found.append((layer, kernel * scale.reshape(filters), beta - scale * mean))
    for layer, kernel, bias in found:
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)
