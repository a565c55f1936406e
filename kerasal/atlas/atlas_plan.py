"""The scope of an atlas, and the pieces of work in the order in which they are computed."""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import numpy as np

from kerasal.atlas import exemplar_records, image_page, maximized
from kerasal.atlas.anatomy import Layer
from kerasal.atlas.atlas_store import Store
from kerasal.digests import digest_files
from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_model import ImageModel

_PER_ROUND = 2  # pieces of a layer: exemplars and maximized images
_LAYER_PIECES = 8  # so many take about as long as all methods on an image
_FIRST_UNITS = 4  # channels in the first piece, and classes in the first two
_FEW_FILES = 200
_QUICK = 64  # pixels of the longer side up to which a whole batch is quick
_MOST_UNITS = 32  # per piece, so that little is lost when the build is interrupted


@dataclasses.dataclass(frozen=True)
class Scope:
    """The contents of a complete atlas.

    Attributes:
        layers: all layers of the model.
        layer_channels: (layer, channel indices) of the layers with maximized images, in the order of the model.
        classes: the class indices with maximized images.
        files: the images in which exemplars are searched.
        pages: (file, slug) of the images with a page.
        seed: the random seed.
    """

    layers: Sequence[Layer]
    layer_channels: Sequence[tuple[Layer, Sequence[int]]]
    classes: Sequence[int]
    files: Sequence[pathlib.Path]
    pages: Sequence[tuple[pathlib.Path, str]]
    seed: int

    @property
    def page_files(self) -> list[pathlib.Path]:
        """The files of the images with a page."""
        return [file for file, _ in self.pages]


@dataclasses.dataclass(frozen=True)
class Piece:
    """A unit of work: ``run`` computes results and adds them to the store."""

    title: str
    run: Callable[[], None]


def plan_pieces(model: ImageModel, store: Store, scope: Scope) -> list[Piece]:
    """Return the pieces of the scope without a result in the store, in the order of computation.

    The first are one of each kind: an image, the exemplars of classes, and exemplars, channels and classes, so that an
    atlas is never without a kind of page for long. Next are the other images, whose first part is quick, and eight
    classes. The rest comes in rounds: a few channels of each layer, from the first layer to the last, and between them
    all methods on an image and further classes. For a gaze model, its maps come before all others.
    """
    if model.task == "gaze":
        predictor = cache(partial(image_page.make_predictor, model))  # compiled when the first piece runs
        draw = partial(image_page.draw_gaze, predictor=predictor)
        images = _image_pieces("gaze on", draw, image_page.gaze_record, "image", model, store, scope)
        comparisons = []
    else:
        record = image_page.image_record
        images = _image_pieces("image", image_page.explain_image, record, "image", model, store, scope)
        comparisons = _image_pieces("methods on", image_page.compare_image, record, "methods", model, store, scope)
        comparisons = comparisons if model.class_count else []
    classes = _class_pieces(model, store, scope)
    seen = _class_exemplar_pieces(model, store, scope)
    layers = [pieces for entry in scope.layer_channels if (pieces := _layer_pieces(model, store, scope, *entry))]
    early = 1 if model.task != "gaze" else len(images)
    first = [*images[:early], *seen, *(layers[0][:_PER_ROUND] if layers else ()), *classes[:1], *images[early:]]
    layers = [layers[0][_PER_ROUND:], *layers[1:]] if layers else []
    first += [*comparisons[:1], *classes[1:2]]
    rounds = itertools.zip_longest(*(_split(pieces, _PER_ROUND) for pieces in layers), fillvalue=())
    steps = [piece for turn in rounds for step in turn for piece in step]
    others = ([piece] for pair in itertools.zip_longest(comparisons[1:], classes[2:]) for piece in pair if piece)
    turns = itertools.zip_longest(_split(steps, _LAYER_PIECES), others, fillvalue=())
    return [*first, *itertools.chain.from_iterable(itertools.chain.from_iterable(turns))]


def _split(pieces: Sequence[Piece], count: int) -> list[Sequence[Piece]]:
    """Return the pieces in lists of at most ``count``."""
    return [pieces[start : start + count] for start in range(0, len(pieces), count)]


def _class_pieces(model, store, scope) -> list[Piece]:
    done = store.entries(*maximized.class_record(model, scope.seed))
    missing = [index for index in scope.classes if str(index) not in done]
    return [
        Piece("classes", partial(maximized.maximize_classes, model, store, batch, scope.seed, scope.page_files))
        for batch in _split_batches(missing, model.input_shape(), [_FIRST_UNITS] * 2)
    ]


def _class_exemplar_pieces(model, store, scope) -> list[Piece]:
    if not scope.files or not scope.classes:
        return []
    stamp = digest_files(scope.files)
    done = store.entries(*exemplar_records.class_exemplar_record(model, stamp))
    if all(str(index) in done for index in scope.classes):
        return []
    search = partial(exemplar_records.find_class_exemplars, model, store, scope.classes, scope.files, stamp)
    return [Piece("exemplars of classes", search)]


def _layer_pieces(model, store, scope, layer: Layer, channels: Sequence[int]) -> list[Piece]:
    """Return the pieces of a layer: exemplars and maximized images in turns."""
    done = store.entries(*maximized.channel_record(model, layer, scope.seed))
    missing = [channel for channel in channels if str(channel) not in done]
    canvas = (*maximized.choose_canvas(model, layer), model.channels)
    maximize = partial(maximized.maximize_channels, model, store, layer)
    runs = [
        partial(maximize, batch, scope.seed, scope.page_files)
        for batch in _split_batches(missing, canvas, [_FIRST_UNITS])
    ]
    pieces = [Piece(f"{layer.path}: channels", run) for run in runs]
    searches = []
    if scope.files and can_search_exemplars(layer):
        stamp = digest_files(scope.files)
        done = store.entries(*exemplar_records.exemplar_record(model, layer, stamp))
        missing = [channel for channel in channels if str(channel) not in done]
        # Each search reads all files, so that many files are read only once.
        batches = [missing] if len(scope.files) > _FEW_FILES else _split_batches(missing, canvas, [2 * _FIRST_UNITS])
        find = partial(exemplar_records.find_exemplars, model, store, layer)
        runs = [partial(find, batch, scope.files, stamp) for batch in batches if batch]
        searches = [Piece(f"{layer.path}: exemplars", run) for run in runs]
    turns = itertools.zip_longest(searches, pieces)
    return [piece for turn in turns for piece in turn if piece is not None]


def _image_pieces(title: str, run: Callable, record: Callable, entry: str, model, store, scope) -> list[Piece]:
    """Return the pieces of the images without an ``entry`` in their record."""
    return [
        Piece(f"{title} {file.name}", partial(run, model, store, file, slug))
        for file, slug in scope.pages
        if entry not in store.entries(*record(model, file, slug))
    ]


def can_search_exemplars(layer: Layer) -> bool:
    """Return whether exemplars of a layer can be found: for a layer with maps, its receptive field must be known."""
    return len(layer.shape) != 3 or layer.field is not None


def _split_batches(
    indices: Sequence[int], shape: tuple[int, int, int], first: Sequence[int]
) -> Iterator[Sequence[int]]:
    """Yield the units of each piece for images of a shape: small pieces for early results, then larger ones.

    The first pieces have the sizes ``first``; for small images, the first piece is a whole batch.
    """
    batch = min(_MOST_UNITS, chunk_size([np.broadcast_to(np.float32(0), (1, *shape))]))
    sizes = first if max(shape[:2]) > _QUICK else [batch]
    start = 0
    for size in itertools.chain(sizes, itertools.repeat(min(_MOST_UNITS, 4 * batch))):
        if start >= len(indices):
            return
        yield indices[start : start + size]
        start += size
