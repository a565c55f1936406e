"""The pass over all images: which of them excite each channel most, in bounded memory; a stopped one can go on."""

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

_SECONDS = 20.0  # between two writings of the journal


@dataclasses.dataclass
class Ranking:
    """The ``k`` highest values of each channel and the numbers of their images, sorted; ties to the earlier image."""

    values: np.ndarray
    numbers: np.ndarray

    def update(self, numbers: Sequence[int], values: np.ndarray) -> bool:
        """Enter images (n) with their values (n, channels); tell whether any of them came in."""
        if not (values > self.values[:, -1]).any():
            return False
        every = np.concatenate([self.values, values.T], axis=1)
        names = np.concatenate([self.numbers, np.broadcast_to(numbers, (len(every), len(numbers)))], axis=1)
        best = np.argsort(-every, axis=1, kind="stable")[:, : self.values.shape[1]]
        self.values, self.numbers = (np.take_along_axis(one, best, axis=1) for one in (every, names))
        return True


class Journal:
    """One small file that holds a search that was stopped: the ranking, how far it came, what it could not read.

    Only the same search goes on from it: the same files, model, weights, layer and settings. Any other starts anew and
    takes its place. A finished search removes it.
    """

    def __init__(self, path: str | os.PathLike, digest: str):
        self.path, self.digest = pathlib.Path(path), digest
        self._written = time.monotonic()

    def read(self) -> tuple[Ranking, int, int, list[tuple[str, str]]] | None:
        """Return (ranking, number to go on at, images seen, skipped) of the same search, or None if there is none."""
        try:
            with reading_arrays(self.path) as stored:
                facts = stored.facts()
                if facts["identity"] != self.digest:
                    return None
                ranking = Ranking(stored["values"], stored["numbers"])
                return ranking, facts["next"], facts["seen"], [tuple(one) for one in facts["skipped"]]
        except (OSError, Damaged):
            return None

    def write(self, ranking: Ranking, upcoming: int, seen: int, skipped: list, *, now: bool = False) -> None:
        """Keep the state of the search, if ``now`` or if it is some time since that was done."""
        if not now and time.monotonic() - self._written < _SECONDS:
            return
        facts = {"identity": self.digest, "next": upcoming, "seen": seen, "skipped": skipped}
        write_arrays(self.path, {"values": ranking.values, "numbers": ranking.numbers}, {"facts": facts})
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file: the search is finished."""
        self.path.unlink(missing_ok=True)


# A forward pass keeps few maps at once: this many times more images than for a gradient cost little, and run faster.
_MORE = 8


class Search:
    """One search, which can be stopped, and goes on from its journal; ``seen`` is how many images it looked at."""

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
        values = max(1, int(np.prod(source.shape)) // _MORE)
        self.batch_size = batch_size or chunk_size([np.broadcast_to(0.0, (1, values))])
        size = len(channels), k
        self.ranking = Ranking(np.full(size, -np.inf, np.float32), np.full(size, -1, np.int64))  # -1: no image yet
        self.upcoming, self.seen = 0, 0
        found = journal.read() if journal else None
        if found:
            self.ranking, self.upcoming, self.seen, skipped = found
            source.skipped += skipped
        self._skipped = list(source.skipped)

    def run(self, progress: bool = False) -> Ranking:
        """Look at all images that have not been looked at yet."""
        self._note(now=True)
        with self._kept_when_stopped(), progress_bar("Looking for exemplars", self.source.total, progress) as advance:
            advance(self.upcoming)
            for numbers, inputs in self.source.batches(self.batch_size, self.upcoming):
                values = find_strongest(self.model, self.layer, inputs)
                bad = np.flatnonzero(~np.isfinite(values[:, self.channels]).all(axis=1))
                if bad.size:
                    raise ValueError(
                        f"The activations of {self.layer!r} are NaN or infinite for image "
                        f"{self.source.name(numbers[bad[0]])}: the model overflows there. Check its weights, the "
                        "preprocessing and, under mixed precision, try float32."
                    )
                if self.ranking.update(numbers, values[:, self.channels]):
                    self.source.keep(set(self.ranking.numbers.ravel().tolist()), (numbers, inputs))
                advance(numbers[-1] + 1 - self.upcoming)
                self.upcoming, self.seen = numbers[-1] + 1, self.seen + len(numbers)
                self._skipped = list(self.source.skipped)
                self._note()
        if self.seen == 0:
            raise ValueError(f"Not one image could be read. {describe_skipped(self.source.skipped)}")
        return self.ranking

    @contextlib.contextmanager
    def _kept_when_stopped(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._note(now=True)
            where = f", kept in {self.journal.path}. Start the same again to go on." if self.journal else "."
            raise KeyboardInterrupt(f"Stopped after {self.seen:,} images{where}") from None

    def _note(self, now: bool = False) -> None:
        if self.journal is None:
            return
        try:
            self.journal.write(self.ranking, self.upcoming, self.seen, self._skipped, now=now)
        except OSError as error:
            if self.seen == 0:
                raise  # nothing is lost yet: the user can name another place
            warnings.warn(f"The journal cannot be written: {error}. The search goes on without.", stacklevel=2)
            self.journal = None
