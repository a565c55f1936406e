"""The images of a batch: ``folder, image, Parquet list or paths -> [Source, …]``, each with a name of its own."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from kerasal.digests import stamp
from kerasal.images import find_files
from kerasal.names import as_text

COLUMNS = ("image", "path", "file")
"""The columns of a list in which paths are looked for, unless one is named."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One image: its ``name`` in the results, where it is, and its size and time, by which a change is noticed.

    Results are text in UTF-8; bytes of a file name that are none stand in ``name`` as backslash and digits.
    """

    name: str
    path: str
    stamp: tuple[int, int] | None


def list_images(
    images: str | os.PathLike | Sequence[str | os.PathLike], out: pathlib.Path, column: str | None = None
) -> list[Source]:
    """List the images of a folder at any depth, of a Parquet list, or of a sequence of paths, each once.

    An image of a folder is named by its path within it, one of a list as the list spells it; a path in a list that is
    relative starts at the folder of the list. What lies in ``out`` is no image of the batch.

    Raises:
        FileNotFoundError: there is nothing at ``images``.
        ValueError: no image in a folder, or a list without the column, with gaps in it, or of no text.
    """
    if not isinstance(images, (str, os.PathLike)):
        return _sources((os.fspath(path), pathlib.Path(path)) for path in images)
    given = pathlib.Path(images)
    if given.suffix.lower() == ".parquet" and not given.is_dir():
        return _sources((text, given.parent / text) for text in read_list(given, column))
    files = find_files([given])
    if not given.is_dir():
        return _sources((file.name, file) for file in files)
    results = pathlib.Path(os.path.realpath(out))  # which, unlike resolve, takes links that lead in a circle
    kept = [file for file in files if results not in pathlib.Path(os.path.realpath(file)).parents]
    if not kept:
        raise ValueError(f"The only images in {given} are results in {out}; expected photographs.")
    return _sources((file.relative_to(given).as_posix(), file) for file in kept)


def read_list(path: pathlib.Path, column: str | None = None) -> list[str]:
    """Return the paths in a Parquet file: those of ``column``, or of the first of ``COLUMNS`` that it has."""
    pyarrow = need_pyarrow()
    from pyarrow import parquet

    if not path.exists():
        raise FileNotFoundError(f"There is no list {path}.")
    try:
        names = parquet.read_schema(path).names
        found = column if column is not None else next((name for name in COLUMNS if name in names), None)
        if found not in names:
            wanted = repr(column) if column is not None else " or ".join(map(repr, COLUMNS))
            raise ValueError(
                f"{path} has no column {wanted}; it has {', '.join(map(repr, names)) or 'none'}. "
                "Say with --column (column=) which one holds the paths."
            )
        values = parquet.read_table(path, columns=[found])[found]
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    if not (pyarrow.types.is_string(values.type) or pyarrow.types.is_large_string(values.type)):
        raise ValueError(f"The column {found!r} of {path} holds {values.type}; expected paths, as text.")
    if values.null_count:
        raise ValueError(f"The column {found!r} of {path} has no path in {values.null_count} of {len(values)} rows.")
    if not len(values):
        raise ValueError(f"The list {path} is empty.")
    return [os.fsdecode(one) for one in values.cast(pyarrow.large_binary()).to_pylist()]  # UTF-8 or not


def need_pyarrow() -> Any:
    """Import pyarrow.

    Raises:
        ImportError: it is not installed; the error says how to install it.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            'Parquet needs pyarrow: python -m pip install "kerasal[batch]". NPZ and PNG do without.'
        ) from error
    return pyarrow


def _sources(named: Iterable[tuple[str, pathlib.Path]]) -> list[Source]:
    places = {name: os.path.abspath(path) for name, path in named}
    return [Source(as_text(name), path, stamp(path)) for name, path in places.items()]
