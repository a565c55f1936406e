"""What an atlas holds by now: classes, channels and images with what has been made of them, and how much that is."""

import dataclasses
import functools
import pathlib
from typing import Any

from kerasal.atlas import exemplar_records, image_page, maximized
from kerasal.atlas.anatomy import Layer
from kerasal.atlas.atlas_plan import Scope, searchable
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.captions import abbreviate_paths
from kerasal.digests import digest_files
from kerasal.labels import short
from kerasal.models.image_model import ImageModel


@dataclasses.dataclass(frozen=True)
class Unit:
    """A channel of a layer, or a class: its picture and its exemplars, as far as they have been made."""

    number: int
    name: str
    picture: dict[str, Any] | None
    facts: dict[str, Any] | None
    exemplars: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Shown:
    """An image that has a page: ``entry`` is None until it is made."""

    file: pathlib.Path
    slug: str
    entry: dict[str, Any] | None
    name: str

    @property
    def ready(self) -> bool:
        """Whether there is something to be seen."""
        return bool(self.entry and "picture" in self.entry)


class Contents:
    """Everything that is there, read once."""

    def __init__(self, model: ImageModel, store: Store, scope: Scope):
        self.model, self.store, self.scope = model, store, scope
        self._stamp = digest_files(scope.files)

    @functools.cached_property
    def classes(self) -> list[Unit]:
        """The classes whose pictures are there, those that are seen in the images first."""
        found = self.store.entries(*maximized.class_record(self.model, self.scope.seed))
        order = [key for key in map(str, self.scope.classes) if key in found]
        return [
            Unit(int(key), self.class_name(int(key)), found[key]["picture"], found[key], None)
            for key in dict.fromkeys([*order, *found])
        ]

    @functools.cached_property
    def class_numbers(self) -> set[int]:
        """The classes that have a page."""
        return {unit.number for unit in self.classes}

    def class_name(self, number: int) -> str:
        """Return what a class is called."""
        return short(self.model.labels, number)

    def class_names(self, entries: list[dict[str, Any]]) -> str:
        """Return what the classes of entries are called, in one line."""
        return ", ".join(self.class_name(one["number"]) for one in entries)

    def seen_in(self, number: int) -> list[tuple["Shown", float]]:
        """Return the images with a class among their top ones, and its score, the highest first; not below 1 %."""
        found = [
            (shown, one["score"])
            for shown in self.images
            if shown.ready and (entry := shown.entry)
            for one in entry.get("top", ())
            if one["number"] == number and (one["score"] >= 0.01 or not entry["probable"])
        ]
        return sorted(found, key=lambda one: -one[1])

    @staticmethod
    def file_name(path: str) -> str:
        """Return what the image at a path is called."""
        return pathlib.PurePath(path).stem

    @property
    def pictured_layers(self) -> int:
        """How many layers have pictures; the units of the last are the classes."""
        own = sum(any(one.picture for one in units) for units in self.units.values())
        return own + (bool(self.classes) and any(layer.result for layer in self.scope.layers))

    @staticmethod
    def boxes(entry: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the boxes of an image with their ``style``, 1 for the top class; ``same`` tells one seen before."""
        found = entry["boxes"]
        return [
            {**one, "style": i + 1, "same": any(one["box"] == other["box"] for other in found[:i])}
            for i, one in enumerate(found)
        ]

    @property
    def pictured_channels(self) -> int:
        """How many channels have pictures."""
        return sum(bool(one.picture) for units in self.units.values() for one in units)

    @property
    def channels_in_all(self) -> int:
        """How many channels the layers that have pictures have."""
        return sum(layer.channels for layer in self.scope.layers if self.units[layer.slug])

    @functools.cached_property
    def units(self) -> dict[str, list[Unit]]:
        """The channels of each layer, by its slug, of which a picture or exemplars are there."""
        return {layer.slug: self._units(layer) for layer in self.scope.layers}

    def wanted(self, layer: Layer) -> list[int]:
        """Return the channels that are to be shown of a layer."""
        return next((list(channels) for one, channels in self.scope.pictured if one.path == layer.path), [])

    @functools.cached_property
    def images(self) -> list[Shown]:
        """The images that have, or will have, a page."""
        record = image_page.gaze_record if self.model.task == "gaze" else image_page.image_record
        names = abbreviate_paths(self.scope.shown)
        return [
            Shown(file, slug, self.store.entries(*record(self.model, file, slug)).get("image"), name)
            for (file, slug), name in zip(self.scope.pages, names, strict=True)
        ]

    @functools.cached_property
    def page_of(self) -> dict[str, str]:
        """The slug of the page of each image that has one, by its path."""
        return {str(one.file): one.slug for one in self.images if one.ready}

    def _units(self, layer: Layer) -> list[Unit]:
        made = self.store.entries(*maximized.channel_record(self.model, layer, self.scope.seed))
        best = self.store.entries(*exemplar_records.exemplar_record(self.model, layer, self._stamp))
        return [
            Unit(number, str(number), made.get(key, {}).get("picture"), made.get(key), best.get(key))
            for number, key in sorted((int(key), key) for key in {*made, *best})
        ]


@dataclasses.dataclass(frozen=True)
class Row:
    """How many of one kind of thing are made, of those that are to be made."""

    what: str
    made: int
    planned: int

    def __str__(self) -> str:
        return f"{self.made:,} of {self.planned:,} {self.what}"


def count_made(contents: Contents) -> list[Row]:
    """Count classes, channels, searches for exemplars and images; those of which nothing is planned are left out."""
    scope = contents.scope
    channels, searches = [], []
    for layer, wanted in scope.pictured:
        units = {unit.number: unit for unit in contents.units[layer.slug]}
        channels += [number in units and units[number].facts is not None for number in wanted]
        if scope.files and searchable(layer):
            searches += [number in units and units[number].exemplars is not None for number in wanted]
    rows = [
        Row("classes", sum(number in contents.class_numbers for number in scope.classes), len(scope.classes)),
        Row("channels", sum(channels), len(channels)),
        Row("channels’ exemplars", sum(searches), len(searches)),
        Row("images", sum(one.entry is not None for one in contents.images), len(contents.images)),
    ]
    return [row for row in rows if row.planned]
