"""The pass over all images: which of them excite each channel most."""

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np

from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_sources import ImageSource
from kerasal.names import describe_skipped
from kerasal.progress import progress_bar
from kerasal.receptive_field.exemplars.projection import find_strongest
from kerasal.receptive_field.exemplars.ranked_units import Journal, Ranking

import keras

# A forward pass keeps few maps at once: this many times more images than for a gradient cost little, and run faster.
_MORE = 8


class Search:
    """One search, which can be stopped, and goes on from its journal where there is one.

    After ``run``, ``ranking`` holds what was found and ``seen`` how many images were looked at.
    """

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
        self.ranking, self.upcoming, self.seen = Ranking.empty(len(channels), k), 0, 0
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
                self._check(values, numbers)
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
            if self.journal is None:
                raise KeyboardInterrupt(f"Stopped after {self.seen:,} images.") from None
            path = self.journal.path
            self._note(now=True)
            where = f", kept in {path}. Start the same again to go on." if self.journal else "."
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

    def _check(self, values: np.ndarray, numbers: list[int]) -> None:
        bad = np.flatnonzero(~np.isfinite(values[:, self.channels]).all(axis=1))
        if bad.size:
            raise ValueError(
                f"The activations of {self.layer!r} are NaN or infinite for image {self.source.name(numbers[bad[0]])}: "
                "the model overflows there. Check its weights, the preprocessing and, under mixed precision, try "
                "float32."
            )
