"""The files of a shard, Parquet, NPZ or PNG: equal rows give files that are identical, byte for byte."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import images
from kerasal.batch.image_list import need_pyarrow
from kerasal.digests import digest_file
from kerasal.files import atomic_write

_GROUP = 2**25  # bytes of arrays per row group of a Parquet file


class Written:
    """The files of a shard by their path in the output folder, with size and SHA-256."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.files: dict[str, dict[str, Any]] = {}

    def note(self, path: pathlib.Path) -> None:
        """Add a file, which must be complete."""
        name = path.relative_to(self.folder).as_posix()
        self.files[name] = {"bytes": path.stat().st_size, "sha256": digest_file(path)}


@contextlib.contextmanager
def writer(
    format: str, written: Written, number: int, columns: Mapping[str, str]
) -> Iterator[Callable[[str, Sequence[Mapping[str, Any]], Callable[[], np.ndarray]], None]]:
    """Yield a function that adds an image to a shard: its name, its rows and a function that draws its picture.

    At the end of the block the file of the shard is written and added to ``written``.

    Raises:
        OSError: the folder cannot be written, or the disk is full; no incomplete file is left.
    """
    if format == "png":

        def add_picture(name: str, rows: Sequence[Mapping[str, Any]], draw: Callable[[], np.ndarray]) -> None:
            path = written.folder / picture_path(name)
            images.write(path, draw())
            written.note(path)

        yield add_picture
        return
    path = written.folder / "shards" / f"{number:05d}.{format}"
    with atomic_write(path) as temporary, _WRITERS[format](temporary, {"image": "string", **columns}) as add:
        yield lambda name, rows, _: add([{"image": name, **row} for row in rows])
    written.note(path)


def picture_path(name: str) -> pathlib.PurePosixPath:
    """Return the path of an image's picture in the output folder: the image's name with ``.png`` appended.

    A leading slash and ``..`` are removed, so that the path stays in the folder.
    """
    parts = [part for part in pathlib.PurePosixPath(name).parts if part not in ("/", "..")]
    return pathlib.PurePosixPath("pictures", *parts[:-1], f"{parts[-1]}.png" if parts else ".png")


@contextlib.contextmanager
def _write_parquet(path: pathlib.Path, columns: Mapping[str, str]) -> Iterator[Callable[[list[dict]], None]]:
    pyarrow = need_pyarrow()
    from pyarrow import parquet

    schema = pyarrow.schema([(name, _arrow_type(pyarrow, kind)) for name, kind in columns.items()])
    buffer: list[dict] = []

    def flush() -> None:
        arrays = [
            pyarrow.array([_flatten(row.get(name)) for row in buffer], schema.field(name).type, from_pandas=False)
            for name in columns
        ]
        file.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
        buffer.clear()

    def add(rows: list[dict]) -> None:
        buffer.extend(rows)
        if sum(value.nbytes for row in buffer for value in row.values() if isinstance(value, np.ndarray)) > _GROUP:
            flush()

    with parquet.ParquetWriter(path, schema, compression="zstd") as file:
        yield add
        if buffer:
            flush()


@contextlib.contextmanager
def _write_npz(path: pathlib.Path, columns: Mapping[str, str]) -> Iterator[Callable[[list[dict]], None]]:
    """Write each column as an array, or as an array per row (``map_0``, ``map_1``, …) if the shapes differ."""
    rows: list[dict] = []
    yield rows.extend
    arrays: dict[str, Any] = {}
    for name, kind in columns.items():
        values: list[Any] = [row.get(name) for row in rows]
        if not kind.startswith("list"):
            kinds = {"string": ("", np.str_), "int32": (-1, np.int32), "float32": (np.nan, np.float32)}
            missing, dtype = kinds[kind]
            arrays[name] = np.array([missing if value is None else value for value in values], dtype)
        elif len({np.shape(value) for value in values}) <= 1:
            arrays[name] = np.array(values)
        else:
            arrays |= {f"{name}_{number}": np.asarray(value) for number, value in enumerate(values)}
    with path.open("wb") as file:
        np.savez(file, **arrays)


_WRITERS = {"parquet": _write_parquet, "npz": _write_npz}


def _arrow_type(pyarrow, kind: str):
    if kind.startswith("list<"):
        return pyarrow.list_(_arrow_type(pyarrow, kind[5:-1]))
    return {"string": pyarrow.string(), "int32": pyarrow.int32(), "float32": pyarrow.float32()}[kind]


def _flatten(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return value.ravel().astype(np.int32 if value.ndim == 1 and value.dtype.kind == "i" else np.float32)
