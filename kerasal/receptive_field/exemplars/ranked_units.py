"""The strongest images of each channel so far, in bounded memory, and in a journal from which a search goes on."""

import dataclasses
import os
import pathlib
import time

import numpy as np

from kerasal import hooks
from kerasal.digests import digest, digest_files
from kerasal.store import Damaged, reading_arrays, write_arrays

_SECONDS = 20.0  # between two writings of the journal


@dataclasses.dataclass
class Ranking:
    """The ``k`` highest values of each channel and the numbers of their images, sorted; ties to the earlier image."""

    values: np.ndarray
    numbers: np.ndarray

    @classmethod
    def empty(cls, channels: int, k: int) -> "Ranking":
        """Return a ranking without any images; number −1 stands for none."""
        return cls(np.full((channels, k), -np.inf, np.float32), np.full((channels, k), -1, np.int64))

    def update(self, numbers: list[int], values: np.ndarray) -> bool:
        """Enter images (n) with their values (n, channels); tell whether any of them came in."""
        if not (values > self.values[:, -1]).any():
            return False
        values = np.concatenate([self.values, values.T], axis=1)
        numbers = np.concatenate([self.numbers, np.broadcast_to(numbers, (len(values), len(numbers)))], axis=1)
        best = np.argsort(-values, axis=1, kind="stable")[:, : self.values.shape[1]]
        self.values = np.take_along_axis(values, best, axis=1)
        self.numbers = np.take_along_axis(numbers, best, axis=1)
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


def digest_search(model, files: list[pathlib.Path], settings: dict) -> str:
    """Return a digest of everything that decides a ranking; the paths of layers say which one the settings name."""
    paths = [path for path, _ in hooks.layers(model)]
    return digest(hooks.digest_model(model), paths, digest_files(files), settings)
