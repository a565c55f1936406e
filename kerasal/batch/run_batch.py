"""From a question about many images to a folder of answers."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from kerasal.batch import pool
from kerasal.batch import shard as shard_work
from kerasal.batch.batch_job import FORMATS, Job
from kerasal.batch.image_list import list_images, need_pyarrow
from kerasal.batch.kinds import check_method, open_kind
from kerasal.batch.output_folder import Folder
from kerasal.batch.shard import Shard, plan_shards
from kerasal.batch.shard_files import picture_path
from kerasal.checks import check_choice, check_int
from kerasal.names import unknown_name_message
from kerasal.process import load_tensorflow
from kerasal.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run has done: ``new`` images in this one, ``results`` and ``dead_letters`` of all that were given.

    A dead letter is a row of the manifest: ``image``, ``path`` and ``reason``. ``remarks`` say what else to know.
    """

    folder: pathlib.Path
    new: int
    results: int
    dead_letters: list[dict[str, str]]
    remarks: list[str]


def run(
    method: str,
    model: str | os.PathLike,
    images: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    workers: int = 0,
    address: str | None = None,
    format: str = "parquet",
    options: Mapping[str, Any] | None = None,
    column: str | None = None,
    shard_size: int = 32,
    threads: int | None = 1,
    retry: bool = False,
    progress: bool = False,
    **choices: Any,
) -> Result:
    """Run one method over many images, and write what is missing in ``out``.

    Args:
        method: one of ``kerasal.batch.methods()``.
        model: a model file, a SavedModel folder, a folder of ``kerasal train``, or a name of the zoo with weights.
        images: a folder, searched at any depth; a Parquet list; an image; or paths.
        out: the folder for results; see ``kerasal.batch.output_folder``.
        workers: processes on Ray, each with the model loaded; 0 runs in this one, without Ray.
        address: of a Ray cluster, or ``"auto"``; without, one is started here for the time. Workers on other machines
            need model, images and ``out`` under the same paths.
        format: ``"parquet"``, ``"npz"`` or ``"png"``.
        options: the method's own, such as ``{"samples": 20}``.
        column: of a Parquet list; by default image, path or file.
        shard_size: images in a shard, which is written, and if need be repeated, as a whole.
        threads: that compute in each process, on the CPU: other numbers give other last bits. None leaves it to
            TensorFlow.
        retry: also try again what could not be read.
        progress: show a bar.
        **choices: other fields of ``kerasal.batch.batch_job.Job``: ``class_``, ``channel``, ``logits``, ``output``,
            ``fit``, ``preprocessing``, ``labels``, ``weights``, ``net_options``, ``unsafe``.

    Raises:
        ValueError: no such method, option or class; images that cannot be listed; an ``out`` that holds something else,
            or results of other settings. All of it before anything is computed.
        FileNotFoundError: no such model or images.
        RuntimeError: a shard has killed every worker that tried it.
        OSError: the results cannot be written. What is done is kept.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"A batch takes a model by its file or its name, since each worker loads it. Received: {model!r}. "
            'Save it first: model.save("net.keras").'
        )
    _check(workers, address, format, shard_size, threads, choices)
    folder = Folder(pathlib.Path(os.path.abspath(out)))
    sources = list_images(images, folder.folder, column)
    if format == "png":  # two images whose pictures would be one file are refused
        taken: dict[str, str] = {}
        for source in sources:
            other = taken.setdefault(str(picture_path(source.name)), source.name)
            if other != source.name:
                raise ValueError(
                    f"The pictures of {other} and {source.name} would be one file. Write parquet or npz, or list them "
                    "by other paths."
                )
    text = os.path.abspath(model) if _is_file(model) else os.fspath(model)
    own = dict(options or {})
    if choices.get("weights") and os.path.exists(choices["weights"]):
        choices["weights"] = os.path.abspath(choices["weights"])
    kind = _open(Job(method, text, format, own, threads=threads, shard_size=shard_size, **choices), workers)
    settings = kind.job.settings()
    folder.check_settings(settings)
    with folder.locked():
        shards, stale = plan_shards(sources, folder.records(), shard_size, retry)
        for number in stale:
            folder.forget(number)
        present = {source.name for source in sources}
        return _run(kind, folder, settings, shards, present, workers, address, progress)


def _run(kind, folder: Folder, settings, shards: list[Shard], present: set[str], workers: int, address, progress: bool):
    missing = sum(len(shard.sources) for shard in shards)
    new = missing
    folder.write_manifest(settings, missing, present)
    try:
        with (
            progress_bar(settings["method"], missing, progress) as advance,
            contextlib.closing(_make_all(kind, folder, shards, workers, address)) as made,
        ):
            for shard, _ in made:
                missing -= len(shard.sources)
                advance(len(shard.sources))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Stopped. What is done is kept; the same call goes on from there.") from None
    finally:
        manifest = folder.write_manifest(settings, missing, present)
    remarks, gone = manifest["remarks"], manifest["gone"]
    if gone:
        listed = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
        remark = (
            f"{folder.folder} also holds {len(gone)} result{'s' * (len(gone) > 1)} of images that are not, or no "
            f"longer, among those given; manifest.json lists them as gone: {listed}."
        )
        remarks = [remark, *remarks]
    return Result(folder.folder, new, manifest["results"], manifest["dead_letters"], remarks)


def _make_all(kind, folder, shards, workers, address) -> Generator[tuple[Shard, dict[str, Any]]]:
    if workers and shards:
        yield from pool.make_all(kind.job, folder.folder, shards, min(workers, len(shards)), address)
    else:
        yield from ((shard, shard_work.make_shard(kind, folder.folder, shard)) for shard in shards)


def _open(job: Job, workers: int):
    """Load the model and try the job on one photograph."""
    pool.hide_gpu(job.threads)
    load_tensorflow()
    check_method(job.method)
    if not workers:
        pool.limit_threads(job.threads)
    kind = open_kind(job)
    from kerasal.models.opener import PHOTOGRAPHS  # lazy: it loads TensorFlow

    shard_work.try_once(kind, PHOTOGRAPHS[0])
    return kind


def _is_file(model: str | os.PathLike) -> bool:
    """Tell a model file, or the folder of one, from a zoo name, like which a folder of results may be called."""
    path = pathlib.Path(model)
    return path.is_file() or (path / "saved_model.pb").is_file() or (path / "run.json").is_file()


def _check(workers, address, format: str, shard_size, threads, choices: Mapping[str, Any]) -> None:
    check_int("workers", workers, 0)
    check_int("shard_size", shard_size)
    if threads is not None:
        check_int("threads", threads, none="None")
    if address is not None and not workers:
        raise ValueError(f"A cluster's address goes with a number of workers. Received: {address!r} and 0 workers.")
    check_choice("format", format, FORMATS)
    fields = {field.name for field in dataclasses.fields(Job)} - {"method", "model", "model_sha"}
    for name in choices:
        if name not in fields:
            raise TypeError(
                unknown_name_message(name, fields, "argument", " of batch.run; a method's own go into options=")
            )
    if workers:
        pool.need_ray()
    if format == "parquet":
        need_pyarrow()
