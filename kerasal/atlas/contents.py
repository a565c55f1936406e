"""The finished results of an atlas: its classes, channels and images, and their counts."""

import dataclasses
import functools
import pathlib
from typing import Any

from kerasal.atlas import exemplar_records, image_page, maximized
from kerasal.atlas.anatomy import Layer
from kerasal.atlas.atlas_plan import Scope, can_search_exemplars
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.captions import abbreviate_paths
from kerasal.digests import digest_files
from kerasal.labels import short
from kerasal.models.image_model import ImageModel


@dataclasses.dataclass(frozen=True)
class Unit:
    """A channel of a layer, or a class, with the results so far.

    Attributes:
        index: the index of the channel or class.
        name: its name on the pages.
        picture: the path and size of its maximized image; None if there is none.
        facts: the record of its maximized image; None if it has not been computed.
        exemplars: the record of its exemplars; None if they have not been searched.
    """

    index: int
    name: str
    picture: dict[str, Any] | None
    facts: dict[str, Any] | None
    exemplars: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class PageImage:
    """An image with a page.

    Attributes:
        file: the path of the image.
        slug: the file name of its page, without suffix.
        entry: the record of its results; None until they are computed.
        methods: the record of the maps of all methods; None until they are computed.
        name: its name on the pages.
    """

    file: pathlib.Path
    slug: str
    entry: dict[str, Any] | None
    methods: dict[str, Any] | None
    name: str

    @property
    def ready(self) -> bool:
        """Whether the image could be read and its results are computed."""
        return bool(self.entry and "picture" in self.entry)


class Contents:
    """The results in the store of an atlas, each read once."""

    def __init__(self, model: ImageModel, store: Store, scope: Scope):
        self.model, self.store, self.scope = model, store, scope
        self._stamp = digest_files(scope.files)

    @functools.cached_property
    def classes(self) -> list[Unit]:
        """The classes with results: first the planned ones in their order, then those of earlier builds."""
        entries = self.store.entries(*maximized.class_record(self.model, self.scope.seed))
        exemplars = self.store.entries(*exemplar_records.class_exemplar_record(self.model, self._stamp))
        order = [key for key in map(str, self.scope.classes) if key in entries or key in exemplars]
        return [
            Unit(
                int(key),
                self.class_name(int(key)),
                entries.get(key, {}).get("picture"),
                entries.get(key),
                exemplars.get(key),
            )
            for key in dict.fromkeys([*order, *entries, *exemplars])
        ]

    @functools.cached_property
    def class_indices(self) -> set[int]:
        """The indices of the classes with a page."""
        return {unit.index for unit in self.classes}

    def class_name(self, class_index: int) -> str:
        """Return the name of a class."""
        return short(self.model.labels, class_index)

    def class_names(self, entries: list[dict[str, Any]]) -> str:
        """Return the names of the classes of entries, separated by commas."""
        return ", ".join(self.class_name(entry["number"]) for entry in entries)

    @property
    def maximized_classes(self) -> list[Unit]:
        """The classes with a maximized image, or whose gradient is zero."""
        return [unit for unit in self.classes if unit.facts]

    @staticmethod
    def image_name(path: str) -> str:
        """Return the name of the image at a path."""
        return pathlib.PurePath(path).stem

    @property
    def layer_count(self) -> int:
        """The number of layers with maximized images; the units of the output layer are the classes."""
        count = sum(any(unit.picture for unit in units) for units in self.units.values())
        return count + (bool(self.maximized_classes) and any(layer.is_output for layer in self.scope.layers))

    @staticmethod
    def boxes(entry: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the boxes of an image with ``style``, the rank of its class, and ``same`` for a repeated box."""
        boxes = entry["boxes"]
        return [
            {**box, "style": i + 1, "same": any(box["box"] == other["box"] for other in boxes[:i])}
            for i, box in enumerate(boxes)
        ]

    @property
    def channel_count(self) -> int:
        """The number of channels with maximized images."""
        return sum(bool(unit.picture) for units in self.units.values() for unit in units)

    @property
    def total_channel_count(self) -> int:
        """The number of all channels of the layers with results."""
        return sum(layer.channels for layer in self.scope.layers if self.units[layer.slug])

    @functools.cached_property
    def units(self) -> dict[str, list[Unit]]:
        """The channels with a result, by the slug of their layer."""
        return {layer.slug: self._units(layer) for layer in self.scope.layers}

    def planned_channels(self, layer: Layer) -> list[int]:
        """Return the indices of the channels of a layer that the complete atlas shows."""
        return next((list(channels) for other, channels in self.scope.layer_channels if other.path == layer.path), [])

    @functools.cached_property
    def images(self) -> list[PageImage]:
        """The images that have a page in the complete atlas."""
        record = image_page.gaze_record if self.model.task == "gaze" else image_page.image_record
        names = abbreviate_paths(self.scope.page_files)
        return [
            PageImage(file, slug, entries.get("image"), entries.get("methods"), name)
            for (file, slug), name in zip(self.scope.pages, names, strict=True)
            for entries in [self.store.entries(*record(self.model, file, slug))]
        ]

    @functools.cached_property
    def page_slugs(self) -> dict[str, str]:
        """The slugs of the finished pages of images, by the path of the image."""
        return {str(image.file): image.slug for image in self.images if image.ready}

    def _units(self, layer: Layer) -> list[Unit]:
        records = self.store.entries(*maximized.channel_record(self.model, layer, self.scope.seed))
        exemplars = self.store.entries(*exemplar_records.exemplar_record(self.model, layer, self._stamp))
        return [
            Unit(channel, str(channel), records.get(key, {}).get("picture"), records.get(key), exemplars.get(key))
            for channel, key in sorted((int(key), key) for key in {*records, *exemplars})
        ]


@dataclasses.dataclass(frozen=True)
class Count:
    """The numbers of finished and planned results of a kind, such as classes."""

    what: str
    made: int
    planned: int

    def __str__(self) -> str:
        return f"{self.made:,} of {self.planned:,} {self.what}"


def count_results(contents: Contents) -> list[Count]:
    """Return the counts of classes, channels, exemplar searches, images and comparisons; without kinds not planned."""
    scope = contents.scope
    channels, searches = [], []
    finished = {unit.index for unit in contents.maximized_classes}
    compared = [image.methods is not None for image in contents.images] if contents.model.class_count else []
    for layer, planned in scope.layer_channels:
        units = {unit.index: unit for unit in contents.units[layer.slug]}
        channels += [channel in units and units[channel].facts is not None for channel in planned]
        if scope.files and can_search_exemplars(layer):
            searches += [channel in units and units[channel].exemplars is not None for channel in planned]
    counts = [
        Count("classes", sum(index in finished for index in scope.classes), len(scope.classes)),
        Count("channels", sum(channels), len(channels)),
        Count("exemplar searches", sum(searches), len(searches)),
        Count("images", sum(image.entry is not None for image in contents.images), len(contents.images)),
        Count("comparisons of methods", sum(compared), len(compared)),
    ]
    return [count for count in counts if count.planned]
