"""What the benchmarks of maps share: stored rows, controls, intervals and Markdown tables.

A row is the score of one map of one sample. Intervals are 95 % bootstrap intervals over samples; where a network was
trained from several seeds, the scores of a sample are averaged over the seeds first. Differences are paired by sample.
"""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from markdown_tables import interval
from scipy.stats import rankdata

from kerasal import attribution
from kerasal.files import atomic_write

import keras
import tensorflow as tf


class Rows:
    """Scores in a file, stored after each sample; ``done`` holds the texts of its column ``sample``."""

    def __init__(self, path: pathlib.Path, sample: str = "image"):
        self.path, self.sample = path, sample
        self.table = self._read() if path.is_file() else pd.DataFrame({sample: []})
        self.done = set(self.table[sample])

    def add(self, rows: list[dict]) -> None:
        added = pd.DataFrame(rows).astype({self.sample: str})
        self.table = pd.concat([self.table, added], ignore_index=True) if len(self.table) else added
        with atomic_write(self.path) as temporary:
            self.table.to_csv(temporary, index=False)
        self.table = self._read()  # a text of digits is a number there, as in rows of an earlier run

    def _read(self) -> pd.DataFrame:
        return pd.read_csv(self.path, dtype={self.sample: str})


def stored_model(path: pathlib.Path, train: Callable[[], keras.Model]) -> keras.Model:
    """Return the model of a file; without the file, train it and store it there."""
    if not path.is_file():
        model = train()
        with atomic_write(path) as temporary:
            model.save(temporary)
    return keras.models.load_model(path)


def shuffled(model: keras.Model, seed: int) -> keras.Model:
    """Return a copy of a model with random weights: each array is shuffled, which keeps its mean and its scale."""
    copy = keras.models.clone_model(model)
    random = np.random.default_rng(seed)
    copy.set_weights([random.permutation(array.ravel()).reshape(array.shape) for array in model.get_weights()])
    return copy


def smooth_noise(shape: Sequence[int], coarse: Sequence[int], random: np.random.Generator) -> np.ndarray:
    """Return uniform noise of a coarse size, enlarged linearly to 1, 2 or 3 axes, in 0..1."""
    values = random.random(coarse)
    for axis, size in enumerate(shape):
        old = (np.arange(coarse[axis]) + 0.5) / coarse[axis]
        new = (np.arange(size) + 0.5) / size
        values = np.apply_along_axis(lambda line, x=new, xp=old: np.interp(x, xp, line), axis, values)
    return values.astype(np.float32)


def center(shape: Sequence[int], width: float = 0.5) -> np.ndarray:
    """Return a Gaussian at the center whose standard deviation is a share of each half side."""
    distances = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    return np.exp(-sum(distance**2 for distance in distances) / 2 / width**2).astype(np.float32)


def share_inside(values: np.ndarray, inside: np.ndarray) -> float:
    """Return the share of a map's positive sum that lies inside, NaN for a map without positive values."""
    positive = np.maximum(values, 0).astype(np.float64)
    return float(positive[inside].sum() / positive.sum()) if positive.any() else np.nan


def occlusion(model, x, target, **windows) -> np.ndarray:
    """Return the drops of the score with a value per position of the input instead of one per window."""
    maps = attribution.occlusion(model, x, target, **windows)
    spread = attribution.method_spec("occlusion").to_pixels
    return np.stack([spread(values, x.shape[1:-1], windows) for values in maps])


def lift(values: np.ndarray, inside: np.ndarray) -> float:
    """Return the share of a map's positive sum inside, divided by the share of the positions that are: 1 is chance."""
    return share_inside(values, inside) / float(inside.mean())


def rank_correlation(values: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of two maps, NaN if one of them is constant."""
    pair = [rankdata(part) for part in (values, other)]
    return float(np.corrcoef(*pair)[0, 1]) if all(np.ptp(part) > 0 for part in pair) else np.nan


def by_row(table: pd.DataFrame, sample: str) -> dict[str, pd.DataFrame]:
    """Return the scores of each row by sample, averaged over seeds."""
    numbers = [name for name in table.select_dtypes("number").columns if name not in ("seed", sample)]
    return {str(row): part.groupby(sample, sort=True)[numbers].mean() for row, part in table.groupby("row", sort=False)}


def print_rows(wide: dict[str, pd.DataFrame], columns: Sequence[str], differences: Sequence[tuple[str, str]]) -> None:
    """Print a row per map: the intervals of the columns, then those of (column, other row), the paired differences."""
    heads = [*columns, *(f"{column} − {other}" for column, other in differences)]
    print(f"\n| | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    for row, part in wide.items():
        cells = [interval(part[column]) for column in columns]
        for column, other in differences:
            cells.append("–" if row == other else interval(part[column] - wide[other][column]))
        print(f"| {row} | {' | '.join(cells)} |")


def use_one_thread() -> None:
    """Run TensorFlow on one thread, so that a machine with other work stays usable and results repeat."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
