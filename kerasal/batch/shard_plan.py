"""Which images make which shard: decided by the images and by what is done, never by who computes."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from kerasal.batch.image_list import Source


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some images under a number: what is computed, written and repeated as a whole."""

    number: int
    sources: tuple[Source, ...]


def plan(
    sources: Sequence[Source], records: Mapping[int, Mapping[str, Any]], size: int, retry: bool = False
) -> tuple[list[Shard], list[int]]:
    """Return the shards that are missing, and the numbers of those that are done but hold for no longer.

    A shard that is done stays as it is, whatever was added to the images since. It counts for nothing if one of its
    images has changed; with ``retry``, also if one could not be read. The others are cut, in their order, into shards
    of ``size``, which take the numbers that are free: so an unchanged folder is cut as it was.
    """
    stamps = {source.name: source.stamp for source in sources}
    kept, stale = set(), []
    for number, record in records.items():
        changed = any(name in stamps and stamps[name] != _stamp(stamp) for name, stamp in record["images"])
        if changed or (retry and record["dead_letters"]):
            stale.append(number)
        else:
            kept.add(number)
    done = {name for number in kept for name, _ in records[number]["images"]}
    left = [source for source in sources if source.name not in done]
    free = (number for number in itertools.count() if number not in kept)
    return [Shard(next(free), tuple(left[start : start + size])) for start in range(0, len(left), size)], stale


def _stamp(stored: Sequence[int] | None) -> tuple[int, int] | None:
    return None if stored is None else tuple(stored)
