"""Write the images of ``known_parts`` as class folders, which ``kerasal train`` and every other command can read."""

import inspect
import os
import pathlib
from typing import Any

from kerasal import images
from kerasal.checks import check_int
from kerasal.datasets.known_truth import KnownParts, known_parts
from kerasal.names import abbreviate, read_key_values
from kerasal.progress import progress_bar
from kerasal.store import read_json, write_json

RECORD = "known_parts.json"
NAME = "known_parts"

_BATCH = 100  # images that are rendered at a time


def write_known_parts(
    folder: str | os.PathLike,
    *,
    train: int = 4000,
    test: int = 400,
    seed: int = 0,
    missing: float = 0.2,
    progress: bool = False,
    **options: Any,
) -> pathlib.Path:
    """Render a training set and a test set as class folders, and return the folder.

    It contains ``train/CLASS/*.png`` and ``val/CLASS/*.png``; ``masks/CLASS/*.png``, white where the deciding parts of
    the test images are; and ``known_parts.json`` with all options. Images that are there already are not rendered
    again.

    Args:
        folder: the folder, which is created.
        train: number of training images.
        test: number of test images. They miss no part, and with the background "spurious" their backgrounds are
            "textured": the cue says nothing there.
        seed: seed of the training images; that of the test images is the next one.
        missing: see ``known_parts``; for training images only.
        progress: show a progress bar.
        **options: size, causes, distractors, background and cue_share of ``known_parts``.

    Raises:
        ValueError: an option is unknown or out of its range, or the folder has images with other options.
    """
    folder = pathlib.Path(folder)
    check_int("train", train, 8)
    check_int("test", test, 4)
    settings = {"train": train, "test": test, "seed": seed, "missing": missing, **options}
    known, unknown = sorted(_rendering_options()), sorted(set(options) - _rendering_options())
    if unknown:
        raise ValueError(f"options must be among {abbreviate(known, 9)}, got {abbreviate(unknown, 9)}.")
    known_parts(1, seed, missing=missing, **options)  # raises ValueError before a folder is made
    record = folder / RECORD
    before = read_json(record) if record.is_file() else {"options": settings}
    if before["options"] != settings:
        raise ValueError(
            f"{folder} has images with the options {before['options']}, got {settings}. Choose another folder, or "
            "delete this one."
        )
    if before.get("complete"):
        return folder
    write_json(record, {"options": settings, "complete": False})
    test_options: dict[str, Any] = dict(options)
    if options.get("background") == "spurious":
        test_options["background"] = "textured"
    with progress_bar("Rendering images", train + test, progress) as advance:
        for start in range(0, train, _BATCH):
            part = known_parts(min(_BATCH, train - start), seed, start=start, missing=missing, **options)
            _write_images(folder / "train", part, start)
            advance(len(part))
        for start in range(0, test, _BATCH):
            part = known_parts(min(_BATCH, test - start), seed + 1, start=start, **test_options)
            _write_images(folder / "val", part, start)
            for number, mask in enumerate(part.mask()):
                images.write(_name(folder / "masks", part, number, start), mask.astype("uint8") * 255)
            advance(len(part))
    write_json(record, {"options": settings, "complete": True})
    return folder


def is_known_parts(text: str) -> bool:
    """Return whether a text is ``known_parts`` or ``known_parts:…``, and not an existing path."""
    return text.partition(":")[0] == NAME and not os.path.exists(text)


def read_known_parts(text: str) -> dict[str, Any]:
    """Return the options in a text such as ``known_parts:causes=2,background=spurious``.

    Raises:
        ValueError: a part of the text is not KEY=VALUE.
    """
    options = text.partition(":")[2]
    return read_key_values(options.split(",") if options else (), "Options of known_parts", "causes=2")


def _rendering_options() -> set[str]:
    own = {"count", "seed", "start", "missing", "without"}
    return set(inspect.signature(known_parts).parameters) - own


def _write_images(folder: pathlib.Path, part: KnownParts, start: int) -> None:
    for number, image in enumerate(part.images):
        images.write(_name(folder, part, number, start), image)


def _name(folder: pathlib.Path, part: KnownParts, number: int, start: int) -> pathlib.Path:
    return folder / part.class_names[part.classes[number]] / f"{start + number:05d}.png"
