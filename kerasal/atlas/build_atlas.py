"""``kerasal.atlas.build``: a model -> a folder of static pages."""

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
from kerasal.atlas.atlas_plan import Piece, Scope, plan_pieces
from kerasal.atlas.atlas_store import Store, recall_images
from kerasal.atlas.captions import make_slugs
from kerasal.atlas.contents import Count
from kerasal.atlas.image_page import find_top_classes
from kerasal.checks import check_int
from kerasal.models.image_model import ImageModel
from kerasal.names import RenamedAttribute
from kerasal.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class AtlasResult:
    """The result of ``build``.

    Attributes:
        index: the path of the first page.
        completed: the number of pieces of work that this call completed.
        remaining: the number of pieces without a result, because time was up or because they failed.
        failed: (title, reason) of the pieces that failed.
        counts: the numbers of finished and planned classes, channels, searches for exemplars, and images.
        pages: the number of pages.
        seconds: the duration of the call.
    """

    index: pathlib.Path
    completed: int
    remaining: int
    failed: list[tuple[str, str]]
    counts: list[Count]
    pages: int
    seconds: float

    made = RenamedAttribute("completed")
    left = RenamedAttribute("remaining")
    tally = RenamedAttribute("counts")


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
) -> AtlasResult:
    """Build an atlas of a model, or continue one: a folder of static pages, of which ``index.html`` is the first.

    The atlas shows an image that maximizes each class and channel, the images that activate each channel most, and for
    each image the top classes, attribution maps and boxes, or for a gaze model the predicted map. The pages are written
    from the results so far, also if the build is interrupted. The same call then computes what is missing.

    Args:
        model: an ``ImageModel``, or any built Keras model, with a single image input (H, W, C) of 1 or 3 channels. It
            is not changed.
        folder: a new or empty folder, or the folder of an atlas of this model.
        images: a folder, a file or a list of paths: the images that are searched and that get pages; by default those
            of the last build, if any. Results of other images are removed from the atlas.
        preprocessing: the preprocessing of the model, by name or as ``kerasal.preprocessing.Preprocessing``; by default
            that of the ``ImageModel``, or what is recognized from the model.
        labels: the class names.
        name: the name of the model on the pages; by default that of the Keras model.
        note: a sentence for the first page, for example on the training data.
        command: the command that continues the build, for the first page of an incomplete atlas.
        task: ``"classification"``, ``"gaze"`` (maps of where people look) or ``"other"``; by default inferred from the
            output of the model.
        layers: the layers whose channels are shown: names, ends of paths, patterns such as ``"fire*"``, or slices of
            the default such as ``":8"``; by default all layers with a kernel except the output layer.
        classes: class indices; by default all classes, or ``channels`` of them: the top classes of the images with a
            page, and others evenly spaced.
        channels: the maximum number of channels per layer; if there are more, evenly spaced ones are shown.
        image_pages: the maximum number of images with a page; if there are more, evenly spaced ones get a page.
        budget: seconds from the call after which no new piece of work is started; None for no limit.
        fit: ``"crop"`` images to the model's aspect ratio, or ``"stretch"`` them.
        seed: the random seed.
        progress: show a progress bar.

    Returns:
        An ``AtlasResult`` with the path of the first page and the numbers of results.

    Raises:
        ValueError: a layer, class or preprocessing does not exist, the model has no single image input, or the folder
            has other contents.
        FileNotFoundError: a path in ``images`` does not exist.
    """
    started = time.monotonic()
    check_int("channels", channels)
    check_int("image_pages", image_pages)
    locations = [images] if isinstance(images, (str, os.PathLike)) else images
    paths = pictures.find_files(locations) if locations else recall_images(pathlib.Path(folder))
    files = [path.absolute() for path in paths]  # independent of the working directory of the next call
    model = atlas_model(model, name=name or "", preprocessing=preprocessing, labels=labels, task=task, fit=fit)
    scope = _make_scope(model, layers, classes, channels, files, image_pages, seed)
    store = Store(pathlib.Path(folder), atlas_digest(model), model.name, files)
    failed: list[tuple[str, str]] = []
    made = 0
    with store.lock():
        atlas_pages.remove_stale_images(store, scope)
        pages, todo = Pages(model, store, scope, note, command), plan_pieces(model, store, scope)
        try:
            for made in _run(todo, started, budget, progress, failed):
                pages.write_if_due(len(todo) - made, failed)
        finally:
            count = pages.write(len(todo) - made, failed)
    seconds = time.monotonic() - started
    return AtlasResult(store.folder / "index.html", made, len(todo) - made, failed, pages.tally, count, seconds)


def _run(todo: list[Piece], started: float, budget: float | None, progress: bool, failed: list) -> Iterator[int]:
    """Run the pieces until time is up; yield the number of completed pieces, and add errors to ``failed``."""
    made = 0
    with progress_bar("Atlas", len(todo), progress) as advance:
        for piece in todo:
            if budget is not None and time.monotonic() - started > budget:
                return
            try:
                piece.run()
                made += 1
            except ValueError as error:  # for example a layer that overflows; the other pieces are not affected
                failed.append((piece.title, str(error)))
            advance(1)
            yield made


def _make_scope(model: ImageModel, layers, classes, channels: int, files, image_pages: int, seed: int) -> Scope:
    all_layers = list_layers(model.keras_model, model.input_shape())
    page_files = [files[i] for i in sample(len(files), image_pages)]
    if classes is not None:
        indices = list(dict.fromkeys(map(int, classes)))
    else:
        top_classes = find_top_classes(model, page_files) if model.class_count > channels else []
        indices = list(dict.fromkeys([*top_classes, *sample(model.class_count, channels)]))[:channels]
    invalid = [index for index in indices if not 0 <= index < model.class_count]
    if invalid:
        raise ValueError(
            f"classes must be class indices of {model.name}, which has {model.class_count} classes, got {invalid[0]}."
        )
    return Scope(
        layers=all_layers,
        layer_channels=[(layer, sample(layer.channels, channels)) for layer in choose_layers(all_layers, layers)],
        classes=indices,
        files=files,
        pages=list(zip(page_files, make_slugs(map(str, page_files), (file.stem for file in page_files)), strict=True)),
        seed=int(seed),
    )
