"""One shard, from files to a file: which images it holds, how they are run, and what could not be done and why."""

import contextlib
import dataclasses
import errno
import itertools
import pathlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasal import images
from kerasal.batch.image_list import Source
from kerasal.batch.output_folder import write_record
from kerasal.batch.shard_files import Written, writer
from kerasal.names import as_text


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some images under a number: what is computed, written and repeated as a whole."""

    number: int
    sources: tuple[Source, ...]


def plan_shards(
    sources: Sequence[Source], records: Mapping[int, Mapping[str, Any]], size: int, retry: bool = False
) -> tuple[list[Shard], list[int]]:
    """Return the shards that are missing, and the numbers of those that are done but hold for no longer.

    A shard that is done stays as it is, whatever was added to the images since. It counts for nothing if one of its
    images has changed; with ``retry``, also if one could not be read. The others are cut, in their order, into shards
    of ``size``, which take the numbers that are free: so an unchanged folder is cut as it was.
    """
    stamps = {source.name: source.stamp for source in sources}
    kept, stale = set(), []
    for number, record in records.items():
        stored = ((name, stamp and tuple(stamp)) for name, stamp in record["images"])
        changed = any(name in stamps and stamps[name] != stamp for name, stamp in stored)
        if changed or (retry and record["dead_letters"]):
            stale.append(number)
        else:
            kept.add(number)
    done = {name for number in kept for name, _ in records[number]["images"]}
    left = [source for source in sources if source.name not in done]
    free = (number for number in itertools.count() if number not in kept)
    return [Shard(next(free), tuple(left[start : start + size])) for start in range(0, len(left), size)], stale


_OF_THE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
"""What the operating system says where a picture cannot have its image's name."""


def make_shard(kind: Any, out: pathlib.Path, shard: Shard) -> dict[str, Any]:
    """Compute and write a shard; return its record, which is written last.

    An image that cannot be read, for which the method fails, or whose name cannot be written or is too long for its
    picture's, is a dead letter: a row of its name, its path and the reason. It costs the others nothing.

    Raises:
        OSError: the results cannot be written.
    """
    letters: list[dict[str, str]] = []
    remarks: list[str] = []
    written = Written(out)
    with (
        limit_linear_algebra(kind.job.threads),
        writer(kind.job.format, written, shard.number, kind.columns) as add,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for chunk in _chunks(kind, shard, letters, remarks):
            for source, ready, rows in _run_chunk(kind, chunk, letters, remarks):
                try:
                    add(source.name, rows, lambda ready=ready, rows=rows: kind.draw(ready, rows))
                except (OSError, *_list_failures()) as error:
                    if isinstance(error, OSError) and error.errno not in _OF_THE_NAME:  # a full disk stops the batch
                        raise
                    letters.append(_make_letter(source, error))
    record = {
        "images": [[source.name, source.stamp] for source in shard.sources],
        "files": written.files,
        "dead_letters": letters,
        "remarks": remarks,
    }
    write_record(out, shard.number, record)
    return record


def try_once(kind: Any, path: pathlib.Path) -> None:
    """Go once through everything on one photograph, so that a job that cannot work fails before it begins.

    Raises:
        ValueError: what the method, the model or the drawing says.
    """
    with limit_linear_algebra(kind.job.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ready = kind.prepare(images.read(path))
        rows = kind.run([ready])[0]
        if kind.job.format == "png":
            kind.draw(ready, rows)


def _chunks(kind, shard: Shard, letters: list, remarks: list) -> Iterator[list[tuple[Source, Any]]]:
    """Yield the images that can be read, those in a row that fit together and are few enough to be run at once."""
    chunk: list[tuple[Source, Any]] = []
    for source in shard.sources:
        try:
            if as_text(source.path) != source.path:
                raise ValueError("its path is not UTF-8, so that no result could name it. Rename it.")
            photograph = images.read(source.path)
            if (frames := images.frames(source.path)) > 1:
                remarks.append(f"{source.name} holds {frames} pictures; this is the first.")
            ready = kind.prepare(photograph)
        except Exception as error:  # decoders raise anything; that a job works at all, ``try_once`` has shown
            letters.append(_make_letter(source, error))
            continue
        if chunk and (len(chunk) >= kind.at_once(chunk[0][1]) or not kind.fits(chunk[0][1], ready)):
            yield chunk
            chunk = []
        chunk.append((source, ready))
    if chunk:
        yield chunk


def _run_chunk(kind, chunk: list[tuple[Source, Any]], letters: list, remarks: list) -> Iterator[tuple]:
    """Yield the images of a chunk with their rows; where the chunk fails, one after the other."""
    from kerasal.attribution import ZeroMap  # not before the number of threads is settled

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ZeroMap)
            found = kind.run([ready for _, ready in chunk])
    except _list_failures() as error:
        if len(chunk) > 1:
            for one in chunk:
                yield from _run_chunk(kind, [one], letters, remarks)
        else:
            letters.append(_make_letter(chunk[0][0], error))
        return
    numbers = [number for one in caught if isinstance(one.message, ZeroMap) for number in one.message.images]
    remarks += [f"The map of {chunk[number][0].name} is 0 everywhere." for number in numbers]
    yield from ((source, ready, rows) for (source, ready), rows in zip(chunk, found, strict=True))


def _list_failures() -> tuple[type[Exception], ...]:
    """Return what a method may raise because of one image; what concerns all of them has come up in ``try_once``."""
    import cv2

    import tensorflow as tf

    return ValueError, ArithmeticError, tf.errors.InvalidArgumentError, cv2.error


def _make_letter(source: Source, error: BaseException) -> dict[str, str]:
    reason = " ".join(str(error).split()) or type(error).__name__
    return {"image": source.name, "path": as_text(source.path), "reason": as_text(reason)}


def limit_linear_algebra(threads: int | None) -> contextlib.AbstractContextManager:
    """Hold the linear algebra outside of TensorFlow to so many threads too; None leaves it as it is."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads)
