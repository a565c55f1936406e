"""``kerasal.batch.run``: a method over many images -> a folder of results."""

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
from kerasal.names import renamed_arguments, unknown_name_message
from kerasal.process import load_tensorflow
from kerasal.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of ``run``.

    Attributes:
        folder: the output folder.
        new: the number of images that this run computed.
        results: the number of images with a result, of all images of the batch.
        dead_letters: the images without a result, as dictionaries with ``image``, ``path`` and ``reason``.
        remarks: sentences on images that need attention, such as those of which only the first frame was used.
    """

    folder: pathlib.Path
    new: int
    results: int
    dead_letters: list[dict[str, str]]
    remarks: list[str]


@renamed_arguments(out="output_dir", net_options="model_options")
def run(
    method: str,
    model: str | os.PathLike,
    images: str | os.PathLike | Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
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
    """Run a method over many images and write the results to a folder; results that are already there are kept.

    Images without a result, such as unreadable files, do not stop the batch: they are listed as dead letters.

    Args:
        method: one of ``kerasal.batch.methods()``.
        model: a model file, a SavedModel folder, a folder of ``kerasal train``, or the name of a zoo model with
            weights.
        images: a folder, which is searched with its subfolders, a Parquet list, an image, or a sequence of paths.
        output_dir: the output folder; ``kerasal.batch.output_folder`` describes its files.
        workers: the number of Ray processes, each of which loads the model; 0 runs in this process without Ray.
        address: the address of a Ray cluster, or ``"auto"``; None starts a local cluster for the duration of the call.
            On other machines the model, the images and ``output_dir`` must have the same paths.
        format: ``"parquet"``, ``"npz"`` or ``"png"``.
        options: options of the method, such as ``{"samples": 20}``.
        column: the column of a Parquet list that holds the paths; by default image, path or file.
        shard_size: the number of images per shard. A shard is written, and if interrupted repeated, as a whole.
        threads: the number of CPU threads per process. Another number changes the last bits of results. None leaves
            the choice to TensorFlow.
        retry: recompute shards with dead letters.
        progress: show a progress bar.
        **choices: further fields of ``kerasal.batch.batch_job.Job``: ``smoothing``, ``class_``, ``channel``,
            ``logits``, ``output``, ``fit``, ``preprocessing``, ``labels``, ``weights``, ``model_options``, ``unsafe``.

    Raises:
        ValueError: a method, option or class does not exist, the images cannot be listed, or ``output_dir`` holds other
            files or results of other settings. It is raised before anything is computed.
        FileNotFoundError: the model or the images do not exist.
        RuntimeError: every worker that computed a shard died.
        OSError: the results cannot be written. Finished results are kept.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"model must be a path or the name of a zoo model, since each worker loads it, got {model!r}. "
            'Save it first: model.save("model.keras").'
        )
    _check(workers, address, format, shard_size, threads, choices)
    folder = Folder(pathlib.Path(os.path.abspath(output_dir)))
    sources = list_images(images, folder.folder, column)
    if format == "png":
        names: dict[str, str] = {}
        for source in sources:
            other = names.setdefault(str(picture_path(source.name)), source.name)
            if other != source.name:
                raise ValueError(
                    f"Images must have distinct names for their pictures, but {other} and {source.name} have the same. "
                    "Use parquet or npz, or list the images under other paths."
                )
    location = os.path.abspath(model) if _is_path(model) else os.fspath(model)
    method_options = dict(options or {})
    if choices.get("weights") and os.path.isfile(choices["weights"]):
        choices["weights"] = os.path.abspath(choices["weights"])
    kind = _open(
        Job(method, location, format, method_options, threads=threads, shard_size=shard_size, **choices), workers
    )
    settings = kind.job.settings()
    folder.check_settings(settings)
    with folder.lock():
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
            contextlib.closing(_compute_shards(kind, folder, shards, workers, address)) as records,
        ):
            for shard, _ in records:
                missing -= len(shard.sources)
                advance(len(shard.sources))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted. Finished results are kept; repeat the call to continue.") from None
    finally:
        manifest = folder.write_manifest(settings, missing, present)
    remarks, gone = manifest["remarks"], manifest["gone"]
    if gone:
        names = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
        remark = (
            f"{folder.folder} also holds {len(gone)} result{'s' * (len(gone) > 1)} of images that are not part of this "
            f"batch; manifest.json lists them as gone: {names}."
        )
        remarks = [remark, *remarks]
    return Result(folder.folder, new, manifest["results"], manifest["dead_letters"], remarks)


def _compute_shards(kind, folder, shards, workers, address) -> Generator[tuple[Shard, dict[str, Any]]]:
    if workers and shards:
        yield from pool.compute_shards(kind.job, folder.folder, shards, min(workers, len(shards)), address)
    else:
        yield from ((shard, shard_work.make_shard(kind, folder.folder, shard)) for shard in shards)


def _open(job: Job, workers: int):
    """Load the model of the job, run the job on a photo to raise its errors early, and return its ``Kind``."""
    pool.hide_gpu(job.threads)
    load_tensorflow()
    check_method(job.method)
    if not workers:
        pool.limit_threads(job.threads)
    kind = open_kind(job)
    from kerasal.models.opener import PHOTOGRAPHS  # imported here because it loads TensorFlow

    shard_work.try_once(kind, PHOTOGRAPHS[0])
    return kind


def _is_path(model: str | os.PathLike) -> bool:
    """Return whether ``model`` is a model file or folder; any other folder may have the name of a zoo model."""
    path = pathlib.Path(model)
    return path.is_file() or (path / "saved_model.pb").is_file() or (path / "run.json").is_file()


def _check(workers, address, format: str, shard_size, threads, choices: Mapping[str, Any]) -> None:
    check_int("workers", workers, 0)
    check_int("shard_size", shard_size)
    if threads is not None:
        check_int("threads", threads, none="None")
    if address is not None and not workers:
        raise ValueError(f"workers must be a positive integer if address is set, got {workers!r}.")
    check_choice("format", format, FORMATS)
    fields = {field.name for field in dataclasses.fields(Job)} - {"method", "model", "model_digest"}
    for name in choices:
        if name not in fields:
            raise TypeError(
                unknown_name_message(
                    name, fields, "argument", " of batch.run (options of the method belong in options)"
                )
            )
    if workers:
        pool.need_ray()
    if format == "parquet":
        need_pyarrow()
