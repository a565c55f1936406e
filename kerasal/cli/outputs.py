"""Where a command writes: refused, before any work, where nothing can be written or an input would be replaced.

Every command is entered through ``App``, which keeps the arguments; so ``check_output`` knows what a command reads.
"""

import contextlib
import contextvars
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from kerasal.files import check_writable as check_writable

_WRITTEN = {"output", "out", "table", "history", "picture", "cache", "evolution"}
_MODELS = {"model", "net", "against"}
_OF_MODELS = (".keras", ".h5", ".hdf5", ".pb", ".npz", "run.json", "labels.txt")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_OF_DATA = (*_PICTURES, ".npy", ".npz", ".mat", ".csv", ".txt", ".tsv", ".pkl", ".pickle")
_READ = {
    **dict.fromkeys(_MODELS, _OF_MODELS),
    **dict.fromkeys(("maps", "densities"), (*_PICTURES, ".npy")),
    **dict.fromkeys(("data", "validation", "fixations"), _OF_DATA),
    "boxes": (".xml",),
}
"""How the files end that a command reads in a folder given as this argument; of others, images."""

_given: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar("_given", default=None)


class App(typer.Typer):
    """A ``typer.Typer`` whose commands can be asked what they were given, by ``check_output``."""

    def command(self, *arguments: Any, **settings: Any) -> Callable:
        """Enter a command."""
        enter = super().command(*arguments, **settings)

        def remembering(function: Callable) -> Callable:
            @functools.wraps(function)
            def command(**given: Any) -> Any:
                token = _given.set(given)
                try:
                    return function(**given)
                finally:
                    _given.reset(token)

            enter(command)
            return function

        return remembering


def check_output(
    path: Path | None, suffixes: tuple[str, ...], *, beside: Iterable[str] = (), folders: bool = True
) -> None:
    """Refuse an output path, before the work is done, that has another suffix, is an input or cannot be written.

    None is not written. ``beside`` are suffixes of other files of the same name that are written too.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"the output is written as {', '.join(suffixes)}; received {str(path)!r}")
    if path.is_dir():
        raise typer.BadParameter(f"the output is a file; {str(path)!r} is a folder")
    refuse_inputs([path, *(path.with_suffix(suffix) for suffix in beside)], folders=folders)
    check_writable(path)


def refuse_inputs(written: Iterable[Path], *, read: Iterable[str | os.PathLike] = (), folders: bool = True) -> None:
    """Refuse to write where an input of this command is, however the two are spelled or linked.

    Args:
        written: the files that are going to be written.
        read: inputs beside the files among the command's arguments.
        folders: whether what lies in a folder among its arguments, and is of a kind that is read there, is an input.
    """
    there = [path for path in written if path.exists()]
    if not there:
        return
    inputs = [Path(path) for path in read]
    inside: list[tuple[Path, tuple[str, ...]]] = []
    for name, path in _paths():
        if path.is_dir():
            inside += [(path, _READ.get(name, _PICTURES))] if folders or name in _MODELS else []
        else:
            inputs += [path, path.with_name("run.json")] if name in _MODELS else [path]
    known = {_identity(path): path for path in inputs if path.exists()}
    for path in there:
        found = known.get(_identity(path)) or next(
            (folder for folder, ends in inside if path.name.lower().endswith(ends) and _lies_in(path, folder)), None
        )
        if found is not None:
            what = f"a file in the input {str(found)!r}" if found.is_dir() else f"the input {str(found)!r}"
            raise typer.BadParameter(f"the output {str(path)!r} would replace {what}; choose another place")


def _paths() -> Iterator[tuple[str, Path]]:
    """Yield the names and values of all arguments that are paths of something."""
    for name, value in (_given.get() or {}).items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if name not in _WRITTEN and isinstance(one, (str, os.PathLike)):
                with contextlib.suppress(OSError, ValueError):  # a text that can be no path
                    if (path := Path(one)).exists():
                        yield name, path


def _identity(path: Path) -> tuple[int, int]:
    """Return what is the same for all names of a file, links included."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _lies_in(path: Path, folder: Path) -> bool:
    places = {path.resolve().parent, path.parent.resolve()}  # of a link, that of what it leads to, and its own
    return any(folder.resolve() in (place, *place.parents) for place in places)
