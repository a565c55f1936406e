"""Shards: the division of the images, and the computation of a shard from image files to result files."""

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
    """Numbered images that are computed, written and if necessary repeated together."""

    number: int
    sources: tuple[Source, ...]


def plan_shards(
    sources: Sequence[Source], records: Mapping[int, Mapping[str, Any]], size: int, retry: bool = False
) -> tuple[list[Shard], list[int]]:
    """Return the shards to compute, and the numbers of finished shards that are out of date.

    A finished shard is out of date if one of its images has changed or, with ``retry``, has no result; added images
    do not affect it. All images without an up-to-date shard are divided, in their order, into shards of ``size`` with
    the lowest free numbers, so that an unchanged folder is always divided in the same way.
    """
    stamps = {source.name: source.stamp for source in sources}
    current, stale = set(), []
    for number, record in records.items():
        stored = ((name, stamp and tuple(stamp)) for name, stamp in record["images"])
        changed = any(name in stamps and stamps[name] != stamp for name, stamp in stored)
        if changed or (retry and record["dead_letters"]):
            stale.append(number)
        else:
            current.add(number)
    done = {name for number in current for name, _ in records[number]["images"]}
    missing = [source for source in sources if source.name not in done]
    free = (number for number in itertools.count() if number not in current)
    return [Shard(next(free), tuple(missing[start : start + size])) for start in range(0, len(missing), size)], stale


_NAME_ERRORS = (errno.ENAMETOOLONG, errno.EILSEQ, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
"""The errors of the operating system for a file name that is not possible."""


def make_shard(kind: Any, out: pathlib.Path, shard: Shard) -> dict[str, Any]:
    """Compute and write a shard; write and return its record.

    An image becomes a dead letter (its name, its path and the reason) if it cannot be read, the method fails for it, or
    its picture cannot be written under its name. The other images of the shard are not affected.

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
        for chunk in _read_chunks(kind, shard, letters, remarks):
            for source, ready, rows in _run_chunk(kind, chunk, letters, remarks):
                try:
                    add(source.name, rows, lambda ready=ready, rows=rows: kind.draw(ready, rows))
                except (OSError, *_list_failures()) as error:
                    if isinstance(error, OSError) and error.errno not in _NAME_ERRORS:  # a full disk stops the batch
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
    """Run the job on the image at ``path`` without writing, so that invalid settings fail before the batch begins.

    Raises:
        ValueError: the error of the method, the model or the drawing.
    """
    with limit_linear_algebra(kind.job.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ready = kind.prepare(images.read(path))
        rows = kind.run([ready])[0]
        if kind.job.format == "png":
            kind.draw(ready, rows)


def _read_chunks(kind, shard: Shard, letters: list, remarks: list) -> Iterator[list[tuple[Source, Any]]]:
    """Yield the readable images in chunks of consecutive images that can be run as a batch."""
    chunk: list[tuple[Source, Any]] = []
    for source in shard.sources:
        try:
            if as_text(source.path) != source.path:
                raise ValueError("The path must be UTF-8, as the results are, got other bytes. Rename the file.")
            image = images.read(source.path)
            if (frames := images.frames(source.path)) > 1:
                remarks.append(f"{source.name} has {frames} frames; only the first is used.")
            ready = kind.prepare(image)
        except Exception as error:  # decoders raise exceptions of any class; ``try_once`` has shown that the job works
            letters.append(_make_letter(source, error))
            continue
        if chunk and (len(chunk) >= kind.batch_size(chunk[0][1]) or not kind.fits(chunk[0][1], ready)):
            yield chunk
            chunk = []
        chunk.append((source, ready))
    if chunk:
        yield chunk


def _run_chunk(kind, chunk: list[tuple[Source, Any]], letters: list, remarks: list) -> Iterator[tuple]:
    """Yield the images of a chunk with their rows; if the chunk fails, run its images separately."""
    from kerasal.attribution import ZeroMap  # imported here: the number of threads must be set before TensorFlow loads

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ZeroMap)
            results = kind.run([ready for _, ready in chunk])
    except _list_failures() as error:
        if len(chunk) > 1:
            for item in chunk:
                yield from _run_chunk(kind, [item], letters, remarks)
        else:
            letters.append(_make_letter(chunk[0][0], error))
        return
    zeros = [index for warning in caught if isinstance(warning.message, ZeroMap) for index in warning.message.images]
    remarks += [f"The map of {chunk[index][0].name} is zero everywhere." for index in zeros]
    yield from ((source, ready, rows) for (source, ready), rows in zip(chunk, results, strict=True))


def _list_failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that a method may raise for some images; invalid settings have failed in ``try_once``."""
    import cv2

    import tensorflow as tf

    return ValueError, ArithmeticError, tf.errors.InvalidArgumentError, cv2.error


def _make_letter(source: Source, error: BaseException) -> dict[str, str]:
    reason = " ".join(str(error).split()) or type(error).__name__
    return {"image": source.name, "path": as_text(source.path), "reason": as_text(reason)}


def limit_linear_algebra(threads: int | None) -> contextlib.AbstractContextManager:
    """Return a context in which BLAS and OpenMP, outside of TensorFlow, use this number of threads; None: no limit."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(threads)
