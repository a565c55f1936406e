"""What is to be made, piece by piece: a little of each, then classes, then layers from the top, images in between."""

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

_LAYERS_AN_IMAGE = 4  # of which a few channels are made, in about the time of the page of one image
_AT_ONCE = 32  # units in a piece at most, so that what is stopped loses little


@dataclasses.dataclass(frozen=True)
class Scope:
    """What an atlas shows.

    Attributes:
        layers: all of the model's.
        pictured: (layer, numbers of its channels), in the model's order.
        classes: numbers.
        files: images for exemplars.
        pages: (file, slug) of the images that get a page.
        seed: of everything random.
    """

    layers: Sequence[Layer]
    pictured: Sequence[tuple[Layer, Sequence[int]]]
    classes: Sequence[int]
    files: Sequence[pathlib.Path]
    pages: Sequence[tuple[pathlib.Path, str]]
    seed: int

    @property
    def shown(self) -> list[pathlib.Path]:
        """The files of the images that get a page."""
        return [file for file, _ in self.pages]


@dataclasses.dataclass(frozen=True)
class Piece:
    """A unit of work: ``run`` makes it, and puts it into the store."""

    title: str
    run: Callable[[], None]


def pieces(model: ImageModel, store: Store, scope: Scope) -> list[Piece]:
    """List what the store does not hold yet.

    A few classes, an image and a few channels of the last layer come first, so that an atlas that is stopped early
    has some of each; then the other classes, a few channels of each layer from the last to the first, and what is
    left of each layer, which take turns with the images. A gaze net's maps come before all: they are what it is for.
    """
    seen, explained = [], []
    if model.task == "gaze":
        predictor = cache(partial(image_page.make_predictor, model))  # compiled with the first photograph
        draw = partial(image_page.draw_gaze, predictor=predictor)
        seen = _photo_pieces("gaze on", draw, image_page.gaze_record, model, store, scope)
    else:
        explained = _photo_pieces("image", image_page.explain_image, image_page.image_record, model, store, scope)
    classes = _class_pieces(model, store, scope)
    layers = [_layer_pieces(model, store, scope, *one) for one in reversed(scope.pictured)]
    heads, tails = [one[0] for one in layers if one], [one[1:] for one in layers if one[1:]]
    some = [heads[start : start + _LAYERS_AN_IMAGE] for start in range(1, len(heads), _LAYERS_AN_IMAGE)]
    turns = itertools.zip_longest([*some, *tails], ([one] for one in explained[1:]), fillvalue=())
    first = [*classes[:1], *explained[:1], *heads[:1]]
    return [*seen, *first, *classes[1:], *itertools.chain.from_iterable(itertools.chain.from_iterable(turns))]


def _class_pieces(model, store, scope) -> list[Piece]:
    done = store.entries(*maximized.class_record(model, scope.seed))
    missing = [number for number in scope.classes if str(number) not in done]
    return [
        Piece("classes", partial(maximized.ascend_classes, model, store, part, scope.seed, scope.shown))
        for part in _parts(missing, model.input_shape())
    ]


def _layer_pieces(model, store, scope, layer: Layer, channels: Sequence[int]) -> list[Piece]:
    done = store.entries(*maximized.channel_record(model, layer, scope.seed))
    missing = [number for number in channels if str(number) not in done]
    canvas = (*maximized.choose_canvas(model, layer), model.channels)
    make = partial(maximized.ascend_channels, model, store, layer)
    parts = [partial(make, part, scope.seed, scope.shown) for part in _parts(missing, canvas)]
    found = [Piece(f"{layer.path}: channels", part) for part in parts]
    if not scope.files or not searchable(layer):
        return found
    stamp = digest_files(scope.files)
    done = store.entries(*exemplar_records.exemplar_record(model, layer, stamp))
    wanted = [number for number in channels if str(number) not in done]
    if wanted:
        search = partial(exemplar_records.find_exemplars, model, store, layer, wanted, scope.files, stamp)
        found.append(Piece(f"{layer.path}: exemplars", search))
    return found


def _photo_pieces(title: str, make: Callable, record: Callable, model, store, scope) -> list[Piece]:
    return [
        Piece(f"{title} {file.name}", partial(make, model, store, file, slug))
        for file, slug in scope.pages
        if not store.entries(*record(model, file, slug))
    ]


def searchable(layer: Layer) -> bool:
    """Tell whether a layer's exemplars can be found: of a map it must be known what its units see."""
    return len(layer.shape) != 3 or layer.field is not None


def _parts(numbers: Sequence[int], shape: tuple[int, int, int]) -> Iterator[Sequence[int]]:
    """Yield what is ascended in one piece, on images of a shape: one batch, to show something soon, then four each."""
    batch = min(_AT_ONCE, chunk_size([np.broadcast_to(np.float32(0), (1, *shape))]))
    yield from filter(len, [numbers[:batch]])
    size = min(_AT_ONCE, 4 * batch)
    for start in range(batch, len(numbers), size):
        yield numbers[start : start + size]
