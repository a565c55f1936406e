"""``build``: from a model to a folder of pages. Decides what is shown, has it made in time, and writes the pages."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kerasal import images as pictures
from kerasal.atlas import atlas_pages
from kerasal.atlas.anatomy import Task, atlas_digest, atlas_model, choose_layers, list_layers, sample
from kerasal.atlas.atlas_pages import Pages
from kerasal.atlas.atlas_plan import Piece, Scope, pieces
from kerasal.atlas.atlas_store import Store, recall_images
from kerasal.atlas.captions import make_slugs
from kerasal.atlas.contents import Row
from kerasal.atlas.image_page import find_top_classes
from kerasal.checks import check_int
from kerasal.models.image_model import ImageModel
from kerasal.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class Built:
    """What ``build`` made.

    Attributes:
        index: the first page.
        made: how many pieces it made.
        left: how many it did not, for want of time or because they failed.
        failed: title and reason of each that failed.
        tally: of what a reader counts (classes, channels, their exemplars, images), how many are made of how many.
        pages: how many pages there are.
        seconds: how long it took.
    """

    index: pathlib.Path
    made: int
    left: int
    failed: list[tuple[str, str]]
    tally: list[Row]
    pages: int
    seconds: float


def build(
    model: Any,
    folder: str | os.PathLike,
    *,
    images: Any = None,
    preprocessing: Any = None,
    labels: Sequence[str] = (),
    name: str | None = None,
    note: str = "",
    command: str = "",
    task: Task | None = None,
    layers: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
    channels: int = 64,
    image_pages: int = 12,
    budget: float | None = None,
    fit: str = "crop",
    seed: int = 0,
    progress: bool = False,
) -> Built:
    """Make an atlas of a model, or go on with one: a folder of static pages, of which ``index.html`` is the first.

    The pieces are made in the order of what they tell: a gaze net's maps; a few classes, an image and a few channels;
    the other classes; then the layers from the top, between them the pages of images. The pages are written from what
    there is, also when the work is stopped; the same call goes on from there and makes only what is missing.

    Args:
        model: any built Keras model with one image input (H, W, C) of 1 or 3 channels; it is not changed.
        folder: a new or empty folder, or one that holds an atlas of this model.
        images: path of a folder or file, or a list of paths, for exemplars and pages of images; by default those of
            the last time, or none. What was made of images that are given no longer is removed.
        preprocessing: the model's pixel convention, by name or as ``kerasal.preprocessing.Preprocessing``.
        labels: names of the classes.
        name: what to call the model.
        note: a line for the first page, such as what the model was trained on.
        command: how to go on, for the first page of an atlas that is not complete.
        task: ``"classification"``, ``"gaze"`` (maps of where people look) or ``"other"``; by default by the output.
        layers: names, ends of paths, patterns such as ``"fire*"``, slices of the default such as ``":8"``; by default
            all with a kernel, but for the last.
        classes: numbers of classes; by default all, at most ``channels`` of them: first those that the model sees in
            the images that get a page, then others, evenly spaced.
        channels: how many channels of a layer at most; of more, a sample, evenly spaced.
        image_pages: how many images get a page; of more, a sample, evenly spaced.
        budget: seconds after which no new piece is begun, counted from this call.
        fit: cut images to the model's shape (``"crop"``), or ``"stretch"`` them.
        seed: of everything random.
        progress: show a progress bar.

    Returns:
        ``Built``.

    Raises:
        ValueError: no such layer, class or convention; a model that takes other than one image; a folder that holds
            something else.
        FileNotFoundError: no images at a path.
    """
    started = time.monotonic()
    check_int("channels", channels)
    check_int("image_pages", image_pages)
    given = [images] if isinstance(images, (str, os.PathLike)) else images
    found = pictures.find_files(given) if given else recall_images(pathlib.Path(folder))
    files = [path.absolute() for path in found]  # the same images, from wherever this is called
    model = atlas_model(model, name=name or "", preprocessing=preprocessing, labels=labels, task=task, fit=fit)
    scope = _scope(model, layers, classes, channels, files, image_pages, seed)
    store = Store(pathlib.Path(folder), atlas_digest(model), model.name, files)
    failed: list[tuple[str, str]] = []
    made = 0
    with store.locked():
        atlas_pages.forget_other_images(store, scope)
        pages, todo = Pages(model, store, scope, note, command), pieces(model, store, scope)
        try:
            for made in _run(todo, started, budget, progress, failed):
                pages.write_now_and_then(len(todo) - made, failed)
        finally:
            count = pages.write(len(todo) - made, failed)
    seconds = time.monotonic() - started
    return Built(store.folder / "index.html", made, len(todo) - made, failed, pages.tally, count, seconds)


def _run(todo: list[Piece], started: float, budget: float | None, progress: bool, failed: list) -> Iterator[int]:
    """Make pieces until the time is up, yield after each how many there are, and note in ``failed`` what is not."""
    made = 0
    with progress_bar("Atlas", len(todo), progress) as advance:
        for piece in todo:
            if budget is not None and time.monotonic() - started > budget:
                return
            try:
                piece.run()
                made += 1
            except ValueError as error:  # of this piece, such as a layer that overflows: the others can be made
                failed.append((piece.title, str(error)))
            advance(1)
            yield made


def _scope(model: ImageModel, layers, classes, channels: int, files, image_pages: int, seed: int) -> Scope:
    found = list_layers(model.keras_model, model.input_shape())
    shown = [files[i] for i in sample(len(files), image_pages)]
    if classes is not None:
        numbers = list(dict.fromkeys(map(int, classes)))
    else:
        seen = find_top_classes(model, shown) if model.class_count > channels else []
        numbers = list(dict.fromkeys([*seen, *sample(model.class_count, channels)]))[:channels]
    outside = [number for number in numbers if not 0 <= number < model.class_count]
    if outside:
        raise ValueError(f"{model.name} has {model.class_count} classes, counted from 0. Received: {outside[0]}.")
    return Scope(
        layers=found,
        pictured=[(one, sample(one.channels, channels)) for one in choose_layers(found, layers)],
        classes=numbers,
        files=files,
        pages=list(zip(shown, make_slugs(map(str, shown), (one.stem for one in shown)), strict=True)),
        seed=int(seed),
    )
