"""How much of an atlas has been made, in what a reader counts rather than in pieces of work."""

import dataclasses

from kerasal.atlas.atlas_plan import searchable
from kerasal.atlas.contents import Contents


@dataclasses.dataclass(frozen=True)
class Row:
    """How many of one kind of thing are made, of those that are to be made."""

    what: str
    made: int
    planned: int

    def __str__(self) -> str:
        return f"{self.made:,} of {self.planned:,} {self.what}"


def tally(contents: Contents) -> list[Row]:
    """Count classes, channels, searches for exemplars and images; those of which nothing is planned are left out."""
    scope = contents.scope
    classes = {unit.number for unit in contents.classes}
    channels, searches = [], []
    for layer, wanted in scope.pictured:
        units = {unit.number: unit for unit in contents.units[layer.slug]}
        channels += [number in units and units[number].facts is not None for number in wanted]
        if scope.files and searchable(layer):
            searches += [number in units and units[number].exemplars is not None for number in wanted]
    rows = [
        Row("classes", sum(number in classes for number in scope.classes), len(scope.classes)),
        Row("channels", sum(channels), len(channels)),
        Row("channels’ exemplars", sum(searches), len(searches)),
        Row("images", sum(one.entry is not None for one in contents.images), len(contents.images)),
    ]
    return [row for row in rows if row.planned]
