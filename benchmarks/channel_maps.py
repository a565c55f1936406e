"""Which channels of a signal do the maps of a network mark, and are they those that it needs?

    python benchmarks/channel_maps.py signals -o RUNS [--seeds 3]

BasicMotions of the UEA archive: accelerometer and gyroscope, three axes each, of a watch while people run, walk, stand
or play badminton, 40 signals to train and 40 to test. The network is that of signal_maps.py. Integrated gradients have
a value per channel where the model is reshaped to inputs (steps, channels, 1): then both axes are positions. Their sum
over time is compared with what happens without the channel: the drop of the true class's score when one channel of a
signal is replaced by that of another signal of another class, mean of 10 draws. "correlation" is the rank correlation
of the two over the six channels of a signal, "same first channel" the share of signals where both have the same largest
channel, by chance 1/6. Controls: the loudness of the channels (root mean square), the network with shuffled weights,
and random numbers.

Networks and scores are stored in RUNS, and a stopped run continues there. ``--small`` uses few signals and epochs.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from map_scores import Rows, by_row, interval, print_rows, rank_correlation, use_one_thread
from signal_maps import load, read_arguments, trained

from kerasal import attribution

import keras
from keras import layers

CHANNELS = ["acc. x", "acc. y", "acc. z", "gyr. x", "gyr. y", "gyr. z"]


def channel_shares(model: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum over time of integrated gradients of each channel, (N, channels)."""
    by_channel = keras.Sequential([keras.Input((*x.shape[1:], 1)), layers.Reshape(x.shape[1:]), model])
    return attribution.integrated_gradients(by_channel, x[..., None], y).sum(axis=1)


def channel_drops(model: keras.Model, x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the mean drop of the true class's score if a channel is that of a signal of another class."""
    random, drops = np.random.default_rng(seed), np.zeros((len(x), x.shape[2]))

    def true_score(signals):
        return model.predict(signals, verbose=0)[np.arange(len(y)), y]

    full = true_score(x)
    for _ in range(draws):
        others = [random.choice(np.flatnonzero(y != label)) for label in y]
        for channel in range(x.shape[2]):
            changed = x.copy()
            changed[..., channel] = x[others][..., channel]
            drops[:, channel] += (full - true_score(changed)) / draws
    return drops


def score(models: dict[str, keras.Model], x: np.ndarray, y: np.ndarray, seed: int, draws: int) -> list[dict]:
    """Return the correlations over channels with the drops, and the shares and drops of each channel."""
    right = models["trained"].predict(x, verbose=0).argmax(axis=1) == y
    drops = channel_drops(models["trained"], x, y, draws, seed)
    values = {
        "integrated_gradients": channel_shares(models["trained"], x, y),
        "integrated_gradients, shuffled weights": channel_shares(models["shuffled"], x, y),
        "loudness of the channel": np.sqrt((x**2).mean(axis=1)),
        "random numbers": np.random.default_rng(seed).random(drops.shape),
        "drop": drops,
    }
    scores = []
    for number in range(len(x)):
        for row, part in values.items():
            same = rank_correlation(part[number], drops[number])
            hit = float(part[number].argmax() == drops[number].argmax())
            shared = {"seed": seed, "signal": number, "label": int(y[number]), "row": row, "right": int(right[number])}
            channels = {name: float(part[number, channel]) for channel, name in enumerate(CHANNELS)}
            scores.append({**shared, "correlation": same, "same first channel": hit, **channels})
    return scores


def print_results(table: pd.DataFrame, classes: list[str]) -> None:
    """Print the tables of BasicMotions: correlations, then the shares and drops of the channels of each class."""
    wide = by_row(table, "signal")
    first = wide["drop"]
    print(f"\n### motions, {len(first)} test signals, {table['seed'].nunique()} seeds\n")
    print(f"Right class: {interval(first['right'])}.")
    shown = {row: part for row, part in wide.items() if row != "drop"}
    columns = ["correlation", "same first channel"]
    print_rows(shown, columns, [(column, "loudness of the channel") for column in columns])
    print(f"\n| | {' | '.join(CHANNELS)} |\n{'|---' * 7}|")
    for row in ("integrated_gradients", "drop"):
        for label, part in wide[row].groupby("label"):
            cells = [f"{value:.2f}" for value in part[CHANNELS].mean()]
            print(f"| {classes[int(label)]}: {row} | {' | '.join(cells)} |")


def main(words=None) -> None:
    """Train, measure and print."""
    arguments = read_arguments(__doc__, words)
    data, rows = load(arguments.signals / "basicmotions.npz"), Rows(arguments.output / "motions.csv", "seed")
    step, draws = (5, 2) if arguments.small else (1, 10)
    for seed in range(arguments.seeds):
        if str(seed) not in rows.done:
            models = trained(arguments, data, "motions", seed)
            rows.add(score(models, data["x_test"][::step], data["y_test"][::step], seed, draws))
    print_results(rows.table, [str(name) for name in data["classes"]])


if __name__ == "__main__":
    use_one_thread()
    main()
