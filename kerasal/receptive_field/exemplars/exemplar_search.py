"""Search for the images that activate each channel most: a single pass in bounded memory, resumable from a journal."""

import contextlib
import dataclasses
import os
import pathlib
import time
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_sources import ImageSource
from kerasal.names import describe_skipped
from kerasal.progress import progress_bar
from kerasal.receptive_field.exemplars.projection import find_strongest
from kerasal.store import Damaged, reading_arrays, write_arrays

import keras

_WRITE_INTERVAL = 20.0  # seconds between two writes of the journal


@dataclasses.dataclass
class Ranking:
    """The k highest values (channels, k) of each channel in descending order, and the numbers of their images.

    Of equal values, the earlier image comes first.
    """

    values: np.ndarray
    numbers: np.ndarray

    def update(self, numbers: Sequence[int], values: np.ndarray) -> bool:
        """Insert images with numbers (n,) and values (n, channels); return whether the ranking changed."""
        if not (values > self.values[:, -1]).any():
            return False
        all_values = np.concatenate([self.values, values.T], axis=1)
        all_numbers = np.concatenate([self.numbers, np.broadcast_to(numbers, (len(all_values), len(numbers)))], axis=1)
        best = np.argsort(-all_values, axis=1, kind="stable")[:, : self.values.shape[1]]
        self.values, self.numbers = (np.take_along_axis(array, best, axis=1) for array in (all_values, all_numbers))
        return True


class Journal:
    """A file with the state of an interrupted search: the ranking, the position, and the skipped files.

    ``digest`` identifies the search by its files, model, weights, layer and settings. A search with another digest
    starts from the beginning and replaces the file; a finished search removes it.
    """

    def __init__(self, path: str | os.PathLike, digest: str):
        self.path, self.digest = pathlib.Path(path), digest
        self._written = time.monotonic()

    def read(self) -> tuple[Ranking, int, int, list[tuple[str, str]]] | None:
        """Return (ranking, number of the next image, images seen, skipped) of the same search, or None."""
        try:
            with reading_arrays(self.path) as stored:
                facts = stored.facts()
                if facts["identity"] != self.digest:
                    return None
                ranking = Ranking(stored["values"], stored["numbers"])
                return ranking, facts["next"], facts["seen"], [tuple(pair) for pair in facts["skipped"]]
        except (OSError, Damaged):
            return None

    def write(self, ranking: Ranking, upcoming: int, seen: int, skipped: list, *, now: bool = False) -> None:
        """Save the state of the search if ``now`` is set or the last write is at least 20 seconds ago."""
        if not now and time.monotonic() - self._written < _WRITE_INTERVAL:
            return
        facts = {"identity": self.digest, "next": upcoming, "seen": seen, "skipped": skipped}
        write_arrays(self.path, {"values": ranking.values, "numbers": ranking.numbers}, {"facts": facts})
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file after the search has finished."""
        self.path.unlink(missing_ok=True)


# A forward pass needs less memory than a gradient, so a batch has this many times more images than `chunk_size` allows.
_BATCH_FACTOR = 8


class Search:
    """A search that can be interrupted and resumed from its journal; ``seen`` is the number of images searched."""

    def __init__(
        self,
        model: keras.Model,
        layer: str,
        channels: list[int],
        k: int,
        source: ImageSource,
        batch_size: int | None = None,
        journal: Journal | None = None,
    ):
        self.model, self.layer, self.channels, self.source, self.journal = model, layer, channels, source, journal
        values = max(1, int(np.prod(source.shape)) // _BATCH_FACTOR)
        self.batch_size = batch_size or chunk_size([np.broadcast_to(0.0, (1, values))])
        size = len(channels), k
        self.ranking = Ranking(np.full(size, -np.inf, np.float32), np.full(size, -1, np.int64))  # -1: no image yet
        self.upcoming, self.seen = 0, 0
        state = journal.read() if journal else None
        if state:
            self.ranking, self.upcoming, self.seen, skipped = state
            source.skipped += skipped
        self._skipped = list(source.skipped)

    def run(self, progress: bool = False) -> Ranking:
        """Search the remaining images and return the ranking."""
        self._save(now=True)
        with self._save_on_interrupt(), progress_bar("Searching exemplars", self.source.total, progress) as advance:
            advance(self.upcoming)
            for numbers, inputs in self.source.batches(self.batch_size, self.upcoming):
                values = find_strongest(self.model, self.layer, inputs)
                bad = np.flatnonzero(~np.isfinite(values[:, self.channels]).all(axis=1))
                if bad.size:
                    raise ValueError(
                        f"The activations of {self.layer!r} must be finite, but are NaN or infinite for image "
                        f"{self.source.name(numbers[bad[0]])}. Check the weights of the model and the preprocessing; "
                        "under mixed precision, try float32."
                    )
                if self.ranking.update(numbers, values[:, self.channels]):
                    self.source.keep(set(self.ranking.numbers.ravel().tolist()), (numbers, inputs))
                advance(numbers[-1] + 1 - self.upcoming)
                self.upcoming, self.seen = numbers[-1] + 1, self.seen + len(numbers)
                self._skipped = list(self.source.skipped)
                self._save()
        if self.seen == 0:
            raise ValueError(
                f"images must contain a readable image, but there is none. {describe_skipped(self.source.skipped)}"
            )
        return self.ranking

    @contextlib.contextmanager
    def _save_on_interrupt(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._save(now=True)
            where = f"; saved in {self.journal.path}. Run the same search again to resume it." if self.journal else "."
            raise KeyboardInterrupt(f"Stopped after {self.seen:,} images{where}") from None

    def _save(self, now: bool = False) -> None:
        if self.journal is None:
            return
        try:
            self.journal.write(self.ranking, self.upcoming, self.seen, self._skipped, now=now)
        except OSError as error:
            if self.seen == 0:
                raise  # nothing is lost yet, and the user can choose another path
            warnings.warn(f"The journal cannot be written: {error}. The search continues without it.", stacklevel=2)
            self.journal = None
