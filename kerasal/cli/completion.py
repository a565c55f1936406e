"""Completion of arguments in the shell: models, layers, classes and methods. TensorFlow and NumPy are not imported.

Layers are read from the model that is already on the command line: a ``.keras`` file, or the folder of a run.
"""

import json
import os
import pathlib
import shlex
import zipfile
from collections.abc import Iterable
from typing import Any

from typer import Context

_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
_LINE = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""Environment variables in which the completion scripts of the shells pass the command line."""
SIGNATURES = ("serving_default", "predict", "predict_image", "predict_bytes", "maximize", "gaze")
"""The kinds of signatures that are not attribution methods."""
BATCH_METHODS = ("predict", "gaze", "localize")
"""The methods of ``kerasal batch`` that are not attribution methods."""


def models(ctx: Context, incomplete: str) -> list[str]:
    """Return zoo names, and the model files and folders in the working directory; the shell completes longer paths."""
    return [*_filter_by_prefix(_zoo_names(), incomplete), *_complete_files(incomplete, _MODEL_SUFFIXES)]


def models_and_files(ctx: Context, incomplete: str) -> list[str]:
    """Return zoo names and all files and folders here, for arguments that may be a model or an image."""
    return [*_filter_by_prefix(_zoo_names(), incomplete), *_complete_files(incomplete, ("",))]


def layers_and_files(ctx: Context, incomplete: str) -> list[str]:
    """Return the layers of the model on the line, and all files and folders here."""
    return [*layers(ctx, incomplete), *_complete_files(incomplete, ("",))]


def zoo_models(ctx: Context, incomplete: str) -> list[str]:
    """Return zoo names."""
    return _filter_by_prefix(_zoo_names(), incomplete)


def methods(ctx: Context, incomplete: str) -> list[str]:
    """Return the attribution methods."""
    from kerasal.cli.method_table import method_names

    return _filter_by_prefix(method_names(), incomplete)


def batch_methods(ctx: Context, incomplete: str) -> list[str]:
    """Return the methods of ``kerasal batch``."""
    return [*_filter_by_prefix(BATCH_METHODS, incomplete), *methods(ctx, incomplete)]


def signatures(ctx: Context, incomplete: str) -> list[str]:
    """Return the kinds of signatures, preceded by ``NAME=`` if that was typed."""
    name, equals, kind = incomplete.rpartition("=")
    return [f"{name}{equals}{text}" for text in [*_filter_by_prefix(SIGNATURES, kind), *methods(ctx, kind)]]


def preprocessings(ctx: Context, incomplete: str) -> list[str]:
    """Return the names of the pixel conventions."""
    return _filter_by_prefix(("caffe", "tf", "torch", "unit", "none"), incomplete)


def colormaps(ctx: Context, incomplete: str) -> list[str]:
    """Return the usual colormaps of matplotlib: sequential, and diverging for signed maps."""
    usual = ("viridis", "magma", "inferno", "plasma", "cividis", "gray", "hot", "turbo", "jet")
    return _filter_by_prefix((*usual, "coolwarm", "RdBu_r", "seismic", "bwr", "PuOr"), incomplete)


def label_sets(ctx: Context, incomplete: str) -> list[str]:
    """Return the names of the built-in label sets; the shell completes files."""
    return _filter_by_prefix(("imagenet", "digits"), incomplete)


def layers(ctx: Context, incomplete: str) -> list[str]:
    """Return the paths of the layers of the model on the line."""
    return _filter_by_prefix(_layers_on_line(), incomplete)


def layer_list(ctx: Context, incomplete: str) -> list[str]:
    """Return comma-separated lists of layers in which the last layer is completed."""
    head, comma, last = incomplete.rpartition(",")
    return [f"{head}{comma}{layer}" for layer in _filter_by_prefix(_layers_on_line(), last)]


def layer_channels(ctx: Context, incomplete: str) -> list[str]:
    """Return the layers, each followed by a colon, after which the user types the channel numbers."""
    return [f"{layer}:" for layer in _filter_by_prefix(_layers_on_line(), incomplete)]


def class_names(ctx: Context, incomplete: str) -> list[str]:
    """Return the class names of --labels, or those of the training run on the command line."""
    from kerasal.labels import load

    words = _words_on_line()
    try:
        if "--labels" in words[:-1]:
            return _filter_by_prefix(map(_quote_for_bash, load(words[words.index("--labels") + 1])), incomplete)
        for run in filter(None, map(_read_run, words)):
            return _filter_by_prefix(map(_quote_for_bash, run.get("labels") or ()), incomplete)
    except (OSError, ValueError):
        pass
    return []


def layer_paths(config: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the paths of the layers in the configuration of a Keras model, nested ones as ``encoder/conv1``."""
    paths = []
    for layer in config.get("layers") or ():
        if layer.get("class_name") == "InputLayer":
            continue
        inner = layer.get("config") or {}
        path = prefix + str(inner.get("name") or layer.get("name"))
        paths += layer_paths(inner, f"{path}/") if inner.get("layers") else [path]
    return paths


def _layers_on_line() -> list[str]:
    """Return the layers of the first model file on the line; none for a file that cannot be read."""
    for word in _words_on_line():
        path = pathlib.Path(word)
        run = _read_run(word) if path.is_dir() else None
        path = path / str(run.get("model_file")) if run else path
        if path.suffix == ".keras" and path.is_file():
            try:
                with zipfile.ZipFile(path) as archive:
                    return layer_paths(json.loads(archive.read("config.json"))["config"])
            except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
                return []
    return []


def _read_run(word: str) -> dict[str, Any] | None:
    """Return the contents of run.json if a word is the folder or the model file of a training run, otherwise None."""
    path = pathlib.Path(word)
    note = (path if path.is_dir() else path.parent) / "run.json"
    if not path.exists() or not note.is_file():
        return None
    try:
        run = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return run if isinstance(run, dict) and (path.is_dir() or path.name == run.get("model_file")) else None


def _words_on_line() -> list[str]:
    """Return the words of the line without the program's name."""
    line = next((os.environ[name] for name in _LINE if os.environ.get(name)), "")
    try:
        return shlex.split(line)[1:]
    except ValueError:  # an open quotation mark
        return line.split()[1:]


def _zoo_names() -> list[str]:
    from kerasal.zoo_table import read_zoo

    return [row.name for row in read_zoo()]


def _complete_files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return the folders and the files with these suffixes in the working directory; none if a folder was typed."""
    if "/" in incomplete or incomplete.startswith("."):
        return []
    paths = sorted(path for path in pathlib.Path().iterdir() if path.name.startswith(incomplete or path.name[:1]))
    paths = [path for path in paths if not path.name.startswith(".")]
    return [_quote_for_bash(path.name) for path in paths if path.name.endswith(suffixes) or path.is_dir()]


def _quote_for_bash(text: str) -> str:
    """Return a text with quotation marks for Bash where it needs them; the other shells add them."""
    return shlex.quote(text) if os.environ.get("_KERASAL_COMPLETE") == "complete_bash" else text


def _filter_by_prefix(texts: Iterable[str], incomplete: str) -> list[str]:
    return [text for text in texts if text.startswith(incomplete)]
