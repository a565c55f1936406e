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

_LAYERS_PER_IMAGE = 4  # channel batches of so many layers take about as long as one image page
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

    The first are a batch of classes, an image and a batch of channels of the last layer, so that an interrupted atlas
    has some of each. Next are the other classes, then a batch of channels of each layer, from the last layer to the
    first, then the other channels; images alternate with layers. For a gaze model, its maps come before all others.
    """
    gaze_maps, explanations = [], []
    if model.task == "gaze":
        predictor = cache(partial(image_page.make_predictor, model))  # compiled when the first piece runs
        draw = partial(image_page.draw_gaze, predictor=predictor)
        gaze_maps = _image_pieces("gaze on", draw, image_page.gaze_record, model, store, scope)
    else:
        explanations = _image_pieces("image", image_page.explain_image, image_page.image_record, model, store, scope)
    classes = _class_pieces(model, store, scope)
    layers = [_layer_pieces(model, store, scope, *entry) for entry in reversed(scope.layer_channels)]
    heads, tails = [pieces[0] for pieces in layers if pieces], [pieces[1:] for pieces in layers if pieces[1:]]
    groups = [heads[start : start + _LAYERS_PER_IMAGE] for start in range(1, len(heads), _LAYERS_PER_IMAGE)]
    turns = itertools.zip_longest([*groups, *tails], ([piece] for piece in explanations[1:]), fillvalue=())
    first = [*classes[:1], *explanations[:1], *heads[:1]]
    return [*gaze_maps, *first, *classes[1:], *itertools.chain.from_iterable(itertools.chain.from_iterable(turns))]


def _class_pieces(model, store, scope) -> list[Piece]:
    done = store.entries(*maximized.class_record(model, scope.seed))
    missing = [index for index in scope.classes if str(index) not in done]
    return [
        Piece("classes", partial(maximized.maximize_classes, model, store, batch, scope.seed, scope.page_files))
        for batch in _split_batches(missing, model.input_shape())
    ]


def _layer_pieces(model, store, scope, layer: Layer, channels: Sequence[int]) -> list[Piece]:
    done = store.entries(*maximized.channel_record(model, layer, scope.seed))
    missing = [channel for channel in channels if str(channel) not in done]
    canvas = (*maximized.choose_canvas(model, layer), model.channels)
    maximize = partial(maximized.maximize_channels, model, store, layer)
    runs = [partial(maximize, batch, scope.seed, scope.page_files) for batch in _split_batches(missing, canvas)]
    pieces = [Piece(f"{layer.path}: channels", run) for run in runs]
    if not scope.files or not can_search_exemplars(layer):
        return pieces
    stamp = digest_files(scope.files)
    done = store.entries(*exemplar_records.exemplar_record(model, layer, stamp))
    missing = [channel for channel in channels if str(channel) not in done]
    if missing:
        search = partial(exemplar_records.find_exemplars, model, store, layer, missing, scope.files, stamp)
        pieces.append(Piece(f"{layer.path}: exemplars", search))
    return pieces


def _image_pieces(title: str, run: Callable, record: Callable, model, store, scope) -> list[Piece]:
    return [
        Piece(f"{title} {file.name}", partial(run, model, store, file, slug))
        for file, slug in scope.pages
        if not store.entries(*record(model, file, slug))
    ]


def can_search_exemplars(layer: Layer) -> bool:
    """Return whether exemplars of a layer can be found: for a layer with maps, its receptive field must be known."""
    return len(layer.shape) != 3 or layer.field is not None


def _split_batches(indices: Sequence[int], shape: tuple[int, int, int]) -> Iterator[Sequence[int]]:
    """Yield the units of each piece for images of a shape: first a small batch for early results, then larger ones."""
    batch = min(_MOST_UNITS, chunk_size([np.broadcast_to(np.float32(0), (1, *shape))]))
    yield from filter(len, [indices[:batch]])
    size = min(_MOST_UNITS, 4 * batch)
    for start in range(batch, len(indices), size):
        yield indices[start : start + size]
