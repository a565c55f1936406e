"""Checks of output paths, before any work: an output must be writable and must not replace an input.

Every command is registered with ``App``, which keeps the command's arguments, so ``check_output`` knows the inputs.
"""

import contextlib
import contextvars
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from kerasal.cli.flags import Command, running_flags
from kerasal.files import check_writable as check_writable

_WRITTEN = {"output", "out", "table", "history", "picture", "cache", "evolution"}
_MODELS = {"model", "against"}
_MODEL_FILES = (".keras", ".h5", ".hdf5", ".pb", ".npz", "run.json", "labels.txt")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_DATA_FILES = (*_PICTURES, ".npy", ".npz", ".mat", ".csv", ".txt", ".tsv", ".pkl", ".pickle")
_READ = {
    **dict.fromkeys(_MODELS, _MODEL_FILES),
    **dict.fromkeys(("maps", "densities"), (*_PICTURES, ".npy")),
    **dict.fromkeys(("data", "validation", "fixations"), _DATA_FILES),
    "boxes": (".xml",),
}
"""Suffixes of the files that a command reads in a folder passed as this argument; for other arguments, images."""

_arguments: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar("_arguments", default=None)


class App(typer.Typer):
    """A ``typer.Typer`` that adds old spellings and help panels to its commands, and keeps their arguments."""

    def command(self, *arguments: Any, panel: str = "Settings", **settings: Any) -> Callable:
        """Register a command; ``panel`` is the title over its own options in a long help."""
        register = super().command(*arguments, **settings)

        def decorate(function: Callable) -> Callable:
            parts = Command(function, panel)

            @functools.wraps(function)
            def command(**values: Any) -> Any:
                running_flags.set(parts.flags)
                values = parts.take_former(values)
                token = _arguments.set(values)
                try:
                    return function(**values)
                finally:
                    _arguments.reset(token)

            paragraphs = (inspect.getdoc(function) or "").split("\n\n")
            command.__doc__ = "\n\n".join(" ".join(text.split()) for text in paragraphs)  # typer keeps line breaks
            vars(command)["__signature__"] = inspect.Signature(parts.parameters)
            command.__annotations__ = {parameter.name: parameter.annotation for parameter in parts.parameters}
            register(command)
            return function

        return decorate


def check_output(
    path: Path | None, suffixes: tuple[str, ...], *, beside: Iterable[str] = (), folders: bool = True
) -> None:
    """Raise an error if an output path has a wrong suffix, would replace an input, or is not writable.

    Args:
        path: the output file; None is accepted.
        suffixes: the allowed suffixes.
        beside: suffixes of further files that are written under the same name.
        folders: whether files inside the folders among the arguments count as inputs.

    Raises:
        typer.BadParameter: the suffix is wrong, the path is a folder, or an input would be replaced.
        OSError: the file cannot be written.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"The output must end in {', '.join(suffixes)}, got {str(path)!r}.")
    if path.is_dir():
        raise typer.BadParameter(f"The output must be a file, got {str(path)!r}, which is a folder.")
    refuse_inputs([path, *(path.with_suffix(suffix) for suffix in beside)], folders=folders)
    check_writable(path)


def refuse_inputs(written: Iterable[Path], *, read: Iterable[str | os.PathLike] = (), folders: bool = True) -> None:
    """Raise an error if a file to be written is an input of the command, also by another path or a link.

    Args:
        written: the files that are going to be written.
        read: inputs in addition to the files among the command's arguments.
        folders: whether files inside the folders among the arguments count, if their kind is read there.

    Raises:
        typer.BadParameter: an input would be replaced.
    """
    existing = [path for path in written if path.exists()]
    if not existing:
        return
    inputs = [Path(path) for path in read]
    input_folders: list[tuple[Path, tuple[str, ...]]] = []
    for name, path in _input_paths():
        if path.is_dir():
            input_folders += [(path, _READ.get(name, _PICTURES))] if folders or name in _MODELS else []
        else:
            inputs += [path, path.with_name("run.json")] if name in _MODELS else [path]
    identities = {_identity(path): path for path in inputs if path.exists()}
    for path in existing:
        replaced = identities.get(_identity(path)) or next(
            (folder for folder, ends in input_folders if path.name.lower().endswith(ends) and _is_inside(path, folder)),
            None,
        )
        if replaced is not None:
            what = f"a file in the input {str(replaced)!r}" if replaced.is_dir() else f"the input {str(replaced)!r}"
            raise typer.BadParameter(f"The output {str(path)!r} would replace {what}. Choose another path.")


def _input_paths() -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of every argument that is an existing path, without outputs."""
    for name, value in (_arguments.get() or {}).items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if name not in _WRITTEN and isinstance(item, (str, os.PathLike)):
                with contextlib.suppress(OSError, ValueError):  # texts that cannot be paths
                    if (path := Path(item)).exists():
                        yield name, path


def _identity(path: Path) -> tuple[int, int]:
    """Return device and inode, which all names and links of a file share."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_inside(path: Path, folder: Path) -> bool:
    parents = {path.resolve().parent, path.parent.resolve()}  # of a link: its target's folder and its own
    return any(folder.resolve() in (parent, *parent.parents) for parent in parents)
